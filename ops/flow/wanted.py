"""Which topics a flow needs, with how many partitions and which settings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from connectors.kafka.admin import Topic
from processors.flow.bundle import CONTROL_TOPIC
from processors.flow.spec import FlowFile
from processors.flow.topics import topics_of

DAY_MS = 86_400_000
FOREVER = -1
DEFAULT_RETENTION_MS = 7 * DAY_MS
DEFAULT_MESSAGE_BYTES = 1_048_588
HEADROOM_BYTES = 65_536  # for headers
COMPACTED: Mapping[str, str] = {"cleanup.policy": "compact"}


@dataclass(frozen=True, slots=True)
class Basis:
    """What of the input topic decides about the others."""

    partitions: int
    retention_ms: int
    message_bytes: int

    @classmethod
    def of(cls, topic: Topic | None, partitions: int, value_bytes: int) -> "Basis":
        """Of the topic as it is, else as it will be made: values above the flow's limit must get in, to become dead letters."""
        if topic is None:
            return cls(partitions, DEFAULT_RETENTION_MS, max(DEFAULT_MESSAGE_BYTES, 2 * value_bytes + HEADROOM_BYTES))
        retention_ms = int(topic.kept("retention.ms"))
        return cls(topic.partitions, retention_ms, int(topic.configs.get("max.message.bytes", DEFAULT_MESSAGE_BYTES)))


def wanted(spec: FlowFile, basis: Basis) -> Sequence[Topic]:
    """Every topic of the flow, and the control topic.

    The ledger lives at least as long as the input, the input at least as long as dead letters; what waits lives longer than it may wait.
    """
    names, same = topics_of(spec), basis.partitions
    outcome = _kept(basis.retention_ms) | _room(basis.message_bytes + HEADROOM_BYTES)
    waits_ms = waits(spec)
    pending_room = _room(2 * basis.message_bytes + HEADROOM_BYTES)  # the original, and the columns made of it
    pending = _kept(_longest(basis.retention_ms, waits_ms)) | pending_room
    return (
        Topic(names.input, same, _kept(basis.retention_ms) | _room(basis.message_bytes)),
        Topic(names.result, same, outcome),
        Topic(names.dead_letters, same, outcome),
        Topic(names.quarantine, same, outcome),
        Topic(names.reviews, same, {**COMPACTED, **pending_room}),
        Topic(names.resume, same, pending),
        *(Topic(name, same, pending) for name in names.retries),
        Topic(names.generations, same, COMPACTED),
        Topic(names.ledger, same, _kept(FOREVER if basis.retention_ms < 0 else 4 * basis.retention_ms)),
        Topic(names.checkpoints, 1, _kept(FOREVER)),
        Topic(CONTROL_TOPIC, 1, COMPACTED),
    )


def waits(spec: FlowFile) -> int:
    """How long a record on `.resume` or `.retry.*` must live at least to outlast what it waits for, in ms."""
    limits = spec.limits
    return int(max(limits.review, limits.deadline, *limits.retries, 0) * 1_000) + DAY_MS


def own(spec: FlowFile) -> frozenset[str]:
    """Those that have as many partitions as the input, always: p is the root position's partition."""
    names = topics_of(spec)
    return frozenset({names.reviews, names.resume, *names.retries, names.generations, names.ledger})


def _kept(retention_ms: int) -> dict[str, str]:
    return {"cleanup.policy": "delete", "retention.ms": str(retention_ms), "retention.bytes": "-1"}


def _room(message_bytes: int) -> dict[str, str]:
    return {"max.message.bytes": str(message_bytes)}


def _longest(*retentions_ms: int) -> int:
    return FOREVER if FOREVER in retentions_ms else max(retentions_ms)
