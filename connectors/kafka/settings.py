"""How to talk to a Kafka cluster: the client's settings, each for a reason that was measured."""

import logging
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b

from connectors.kafka.others import obey
from schemas.errors import UsageError

Conf = dict[str, str | int | float | bool]

LOGGER = logging.getLogger("weft.kafka")
LOGGER.addHandler(logging.NullHandler())  # the client's own lines go where the program sends logs, or nowhere
LOGGER.addFilter(lambda record: "will be ignored by this" not in record.getMessage())  # what is passed through is for all kinds of clients


@dataclass(frozen=True, slots=True)
class Security:
    """How a client shows who it is and sees who it talks to, for every client that there is. Files are PEM; empty: not there."""

    protocol: str = "PLAINTEXT"  # or SSL, SASL_PLAINTEXT, SASL_SSL
    mechanism: str = ""
    user: str = ""
    password: str = field(default="", repr=False)
    ca: str = ""  # else the system's
    certificate: str = ""
    key: str = ""
    key_password: str = field(default="", repr=False)

    def conf(self) -> Conf:
        """For librdkafka."""
        if self.protocol == "PLAINTEXT":
            return {}
        made = {
            "security.protocol": self.protocol,
            "sasl.mechanisms": self.mechanism if self.user else "",
            "sasl.username": self.user,
            "sasl.password": self.password,
            "ssl.ca.location": self.ca,
            "ssl.certificate.location": self.certificate,
            "ssl.key.location": self.key,
            "ssl.key.password": self.key_password,
        }
        return {name: value for name, value in made.items() if value}


@dataclass(frozen=True, slots=True)
class KafkaSettings:
    """Where the cluster is and how patient to be. `client` holds settings of librdkafka that somebody passes through: they come last."""

    bootstrap: str
    security: Security = field(default_factory=Security)
    client: Mapping[str, str | int | float | bool] = field(default_factory=dict, repr=False)  # a secret may be among them
    session_timeout_ms: int = 10_000  # a static member that is scaled away stalls its partitions for so long
    transaction_timeout_ms: int = 10_000  # a slot that never comes back blocks read_committed readers for so long
    watchdog_s: float = 15.0  # no progress for so long ends the process
    reach_s: float = 8.0  # how long a start waits for the cluster
    record_bytes: int = 8_388_608  # the largest record; a topic may allow less
    compression: str = "lz4"
    linger_ms: int = 5
    fetch_wait_ms: int = 50  # the first fetch after a rewind waits for the outstanding poll
    prefetch_kbytes: int = 32_768  # values that the client holds ready of a partition
    prefetch_records: int = 100  # of a partition, and one fetch more: keys and headers count nowhere else; more made it no faster
    fetch_kbytes: int = 256  # of a partition at a time: all its batches are decompressed at once
    decompressed_bytes: int = (
        134_217_728  # a batch of zstd that takes more is never read, one that takes half is; other codecs know no bound
    )

    def tls(self) -> ssl.SSLContext | None:
        """For clients that are not librdkafka; None where the protocol uses no TLS.

        Raises:
            UsageError: a file can't be read, or is not what it should be.
        """
        security = self.security
        if not security.protocol.endswith("SSL"):
            return None
        named = security.ca
        try:
            context = ssl.create_default_context(cafile=security.ca or None)
            named = f"{security.certificate} with {security.key}"
            if security.certificate:
                context.load_cert_chain(security.certificate, security.key, security.key_password)
            named = "what kafka.client says"
            obey(context, self.client)
        except OSError as error:  # also what is no certificate, or of another key
            raise UsageError(
                f"TLS to Kafka can't use {named}: {error.strerror or error}", "Certificates and keys are PEM files."
            ) from error
        return context

    def _common(self) -> Conf:
        own: Conf = {"bootstrap.servers": self.bootstrap, "socket.keepalive.enable": True, "reconnect.backoff.max.ms": 1000}
        return own | self.security.conf()

    def admin(self) -> Conf:
        """For the admin client."""
        return {**self._common(), **self.client}

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
            "queued.min.messages": self.prefetch_records,
            "fetch.queue.backoff.ms": 10,  # when it looks again whether it holds fewer: a second, by itself
            **self.client,
        }

    def member(self, group: str, slot: str, topics: Iterable[str]) -> Conf:
        """For a member of a group: classic protocol and a static slot, so that a restart is no rebalance.

        One that comes back with other topics must be another member: the broker would hand a known one its old assignment, without asking
        what it subscribes to now, and nobody would read what is new.
        """
        subscribed = blake2b("\n".join(sorted(topics)).encode(), digest_size=4).hexdigest()
        return {
            **self.reader(group),
            "group.instance.id": f"{slot}.{subscribed}",
            "group.protocol": "classic",
            "partition.assignment.strategy": "cooperative-sticky",
            "session.timeout.ms": self.session_timeout_ms,
            "heartbeat.interval.ms": 1000,  # members hear of a rebalance by their heartbeat
            **self.client,
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
            **self.client,
        }

    def transactional(self, slot: str) -> Conf:
        """For the producer of a slot: who starts it fences whoever held it, and ends the transaction left open."""
        return self.producer() | {"transactional.id": slot, "transaction.timeout.ms": self.transaction_timeout_ms}
