"""The embedded broker's settings, as templates of `str.format`, and as its properties files want them."""

import json

SERVER = """\
# Written at every start.
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{kafka_controller}
controller.listener.names=CONTROLLER
listeners=MAIN://{host}:{kafka},SECOND://{host}:{kafka_second},CONTROLLER://{host}:{kafka_controller}
# Whoever comes in by the second listener is told to come back by a port where a fault test puts its proxy.
advertised.listeners=MAIN://{host}:{kafka},SECOND://{host}:{kafka_second_advertised}
listener.security.protocol.map=MAIN:PLAINTEXT,SECOND:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=MAIN
log.dirs={data}

# Topics are made by `weft flow apply` alone.
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=8
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=8
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1

# A group that was stopped for years finds its offsets again: they hold the ledger's frontiers.
offsets.retention.minutes=5256000
# Workers that start together share every topic evenly from the first; brokers elsewhere wait for three seconds.
group.initial.rebalance.delay.ms=500
group.min.session.timeout.ms=2000
# A dead worker's open transaction blocks every read_committed reader until it is aborted.
transaction.max.timeout.ms=900000
transaction.abort.timed.out.transaction.cleanup.interval.ms=1000

# One machine, shared with the workers.
num.network.threads=2
num.io.threads=4
log.cleaner.dedupe.buffer.size=33554432
log.cleaner.backoff.ms=5000
"""

LOGGING = """\
status=error
rootLogger.level=info
rootLogger.appenderRef.file.ref=file
appender.file.type=RollingFile
appender.file.name=file
appender.file.fileName={logs}/broker.log
appender.file.filePattern={logs}/broker.log.%i
appender.file.layout.type=PatternLayout
appender.file.layout.pattern=%d %-5p %m (%c)%n
appender.file.policies.type=Policies
appender.file.policies.size.type=SizeBasedTriggeringPolicy
appender.file.policies.size.size=10MB
appender.file.strategy.type=DefaultRolloverStrategy
appender.file.strategy.max=3
"""


def properties(text: str) -> str:
    """The text as it stands in a Java properties file, which Java reads as Latin-1: a letter beyond ASCII would name another folder."""
    return "".join(one if one.isascii() else json.dumps(one).strip('"') for one in text)  # JSON escapes as Java does
