"""Which settings of Kafka's client are not to be passed through, and why; whether the client knows the others."""

import difflib
from collections.abc import Mapping

from confluent_kafka import Consumer, KafkaException

from connectors.kafka.settings import LOGGER, Conf
from schemas.errors import UsageError

_ONCE = "exactly one outcome for each event rests on it"
_MEMORY = "it bounds the memory that records may take, and Weft counts on its own value"
_RUNS = "it makes the client run programs or load code, which whoever wrote the file would then run as you"
_KERBEROS = "it is of a command that the client runs; Weft knows no Kerberos"
_MEMBER = "a worker is a static member of its flow's group, so that a restart is no rebalance"

LAWS: Mapping[str, str] = {
    "bootstrap.servers": "say `bootstrap`",
    "metadata.broker.list": "say `bootstrap`",
    "security.protocol": "say kafka.protocol, which all of Weft's clients hear",
    "sasl.mechanism": "say kafka.mechanism, which all of Weft's clients hear",
    "sasl.mechanisms": "say kafka.mechanism, which all of Weft's clients hear",
    "sasl.username": "say kafka.user, which all of Weft's clients hear",
    "sasl.password": "say kafka.password or kafka.password_file, which are never shown",
    "ssl.ca.location": "say kafka.ca, which all of Weft's clients hear",
    "ssl.certificate.location": "say kafka.certificate, which all of Weft's clients hear",
    "ssl.key.location": "say kafka.key, which all of Weft's clients hear",
    "ssl.key.password": "say kafka.key_password or kafka.key_password_file, which are never shown",
    "ssl.ca.pem": "say kafka.ca, a file",
    "ssl.certificate.pem": "say kafka.certificate, a file",
    "ssl.key.pem": "say kafka.key, a file",
    "ssl.keystore.password": "say kafka.certificate and kafka.key, PEM files",
    "plugin.library.paths": _RUNS,
    "ssl.engine.location": _RUNS,
    "ssl.engine.id": _RUNS,
    "ssl.providers": _RUNS,
    "sasl.kerberos.kinit.cmd": _RUNS,
    "sasl.kerberos.keytab": _KERBEROS,
    "sasl.kerberos.principal": _KERBEROS,
    "sasl.kerberos.service.name": _KERBEROS,
    "group.id": "the group is the flow's name; its committed offsets carry the ledger",
    "group.instance.id": _MEMBER,
    "group.protocol": _MEMBER,
    "partition.assignment.strategy": _MEMBER,
    "enable.auto.commit": f"offsets are committed in the outcomes' transaction: {_ONCE}",
    "enable.auto.offset.store": f"offsets are committed in the outcomes' transaction: {_ONCE}",
    "auto.offset.reset": f"a flow begins where its ledger says, and refuses a gap: {_ONCE}",
    "isolation.level": f"what an aborted transaction wrote was never decided: {_ONCE}",
    "enable.partition.eof": "Weft goes by it to know that it has read all",
    "check.crcs": "a damaged batch must not be taken for records",
    "transactional.id": f"it is the worker's slot, so that a restart ends what was left open: {_ONCE}",
    "transaction.timeout.ms": "who takes over from a dead worker waits by the same figure",
    "message.timeout.ms": "it is the transaction's, since a record that lands later is in none",
    "delivery.timeout.ms": "it is the transaction's, since a record that lands later is in none",
    "enable.idempotence": _ONCE,
    "acks": _ONCE,
    "request.required.acks": _ONCE,
    "partitioner": "it is Java's, so that a key has one partition whoever writes",
    "message.max.bytes": "what a topic takes is measured before it is written, and bounded by Weft's own value",
    "receive.message.max.bytes": _MEMORY,
    "fetch.max.bytes": _MEMORY,
    "fetch.message.max.bytes": _MEMORY,
    "max.partition.fetch.bytes": _MEMORY,
}
"""The client's name, and why it is Weft's to set."""


OTHERS = """
    allow.auto.create.topics api.version.request.timeout.ms auto.commit.interval.ms batch.num.messages batch.size broker.address.family
    broker.address.ttl client.dns.lookup client.id client.rack compression.codec compression.level compression.type
    connections.max.idle.ms coordinator.query.interval.ms debug enable.metrics.push enable.ssl.certificate.verification
    fetch.error.backoff.ms fetch.min.bytes fetch.queue.backoff.ms fetch.wait.max.ms heartbeat.interval.ms linger.ms log.connection.close
    log_level max.in.flight max.in.flight.requests.per.connection max.poll.interval.ms message.send.max.retries metadata.max.age.ms
    queue.buffering.max.kbytes queue.buffering.max.messages queue.buffering.max.ms queued.max.messages.kbytes queued.min.messages
    reconnect.backoff.max.ms reconnect.backoff.ms request.timeout.ms retries retry.backoff.max.ms retry.backoff.ms session.timeout.ms
    socket.blocking.max.ms socket.connection.setup.timeout.ms socket.keepalive.enable socket.max.fails socket.nagle.disable
    socket.receive.buffer.bytes socket.send.buffer.bytes socket.timeout.ms ssl.cipher.suites ssl.crl.location ssl.curves.list
    ssl.endpoint.identification.algorithm ssl.sigalgs.list statistics.interval.ms sticky.partitioning.linger.ms
    topic.metadata.refresh.interval.ms topic.metadata.refresh.sparse
    """
"""Names that people set; only for telling which one was meant. The client itself knows which there are."""


def check(client: Mapping[str, tuple[str | int | float | bool, str]]) -> None:
    """See that each of these, a value and where it was said, may be passed through and that the client takes it.

    Raises:
        UsageError: one is Weft's to set, is unknown to the client, or has a value that it refuses.
    """
    for name, (_, where) in client.items():  # all, before the client hears of any: some run code as soon as they are heard
        law = LAWS.get(name.removeprefix("topic."))  # which the client leaves out too
        if law:
            raise UsageError(f"kafka.client.{name} can't be set ({where}): {law}.", "Leave it out.")
    for name, (value, where) in client.items():
        try:
            probe: Conf = {"group.id": "weft-probe", name: value}
            Consumer(probe, logger=LOGGER).close()
        except (KafkaException, TypeError, ValueError) as error:
            cause = error.args[0].str() if isinstance(error, KafkaException) else str(error)
            near = difflib.get_close_matches(name, [*OTHERS.split(), *LAWS], n=1, cutoff=0.6) if "No such" in cause else []
            hint = f"Is it {near[0]}?" if near else "All names and values: librdkafka's CONFIGURATION.md."
            raise UsageError(f"kafka.client.{name} is refused by Kafka's client ({where}): {cause}.", hint) from error
