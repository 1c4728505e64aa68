"""How to talk to a Kafka cluster: the client's settings, each for a reason that was measured."""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b

Conf = dict[str, str | int | float | bool]

LOGGER = logging.getLogger("weft.kafka")
LOGGER.addHandler(logging.NullHandler())  # the client's own lines go where the program sends logs, or nowhere


@dataclass(frozen=True, slots=True)
class KafkaSettings:
    """Where the cluster is and how patient to be. `security` holds librdkafka's own settings for TLS and SASL."""

    bootstrap: str
    security: Mapping[str, str] = field(default_factory=dict)
    session_timeout_ms: int = 10_000  # a static member that is scaled away stalls its partitions for so long
    transaction_timeout_ms: int = 10_000  # a slot that never comes back blocks read_committed readers for so long
    watchdog_s: float = 15.0  # no progress for so long ends the process
    reach_s: float = 8.0  # how long a start waits for the cluster
    record_bytes: int = 8_388_608  # the largest record; a topic may allow less
    compression: str = "lz4"
    linger_ms: int = 5
    fetch_wait_ms: int = 50  # the first fetch after a rewind waits for the outstanding poll
    prefetch_kbytes: int = 32_768  # records that the client holds ready
    fetch_kbytes: int = 256  # of a partition at a time: all its batches are decompressed at once
    decompressed_bytes: int = (
        134_217_728  # a batch of zstd that takes more is never read, one that takes half is; other codecs know no bound
    )

    def _common(self) -> Conf:
        return {"bootstrap.servers": self.bootstrap, "socket.keepalive.enable": True, "reconnect.backoff.max.ms": 1000, **self.security}

    def admin(self) -> Conf:
        """For the admin client."""
        return self._common()

    def reader(self, group: str) -> Conf:
        """For a consumer that is told its partitions."""
        return self._common() | {
            "group.id": group,
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "error",
            "enable.partition.eof": True,
            "max.partition.fetch.bytes": self.fetch_kbytes * 1024,
            "fetch.max.bytes": self.decompressed_bytes // 2,
            "receive.message.max.bytes": self.decompressed_bytes,
            "check.crcs": True,  # a damaged batch must not look like one that is too large, nor like good records
            "fetch.wait.max.ms": self.fetch_wait_ms,
            "fetch.error.backoff.ms": 50,
            "queued.max.messages.kbytes": self.prefetch_kbytes,
        }

    def member(self, group: str, slot: str, topics: Iterable[str]) -> Conf:
        """For a member of a group: classic protocol and a static slot, so that a restart is no rebalance.

        One that comes back with other topics must be another member: the broker would hand a known one its old assignment, without asking
        what it subscribes to now, and nobody would read what is new.
        """
        subscribed = blake2b("\n".join(sorted(topics)).encode(), digest_size=4).hexdigest()
        return self.reader(group) | {
            "group.instance.id": f"{slot}.{subscribed}",
            "group.protocol": "classic",
            "partition.assignment.strategy": "cooperative-sticky",
            "session.timeout.ms": self.session_timeout_ms,
            "heartbeat.interval.ms": 1000,  # members hear of a rebalance by their heartbeat
        }

    def producer(self) -> Conf:
        """For an idempotent producer that partitions as Java's does."""
        return self._common() | {
            "enable.idempotence": True,
            "partitioner": "murmur2_random",
            "compression.type": self.compression,
            "linger.ms": self.linger_ms,
            "message.max.bytes": self.record_bytes,
            "queue.buffering.max.messages": 1_000_000,
            "queue.buffering.max.kbytes": 1_048_576,
            "message.timeout.ms": self.transaction_timeout_ms,
        }

    def transactional(self, slot: str) -> Conf:
        """For the producer of a slot: who starts it fences whoever held it, and ends the transaction left open."""
        return self.producer() | {"transactional.id": slot, "transaction.timeout.ms": self.transaction_timeout_ms}
