"""How much disk a flow's topics take: as it is now, and for a million events."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from connectors.kafka.admin import KafkaAdmin, Topic
from connectors.kafka.disk import bytes_on_disk
from connectors.kafka.reader import KafkaReader
from connectors.kafka.settings import KafkaSettings
from ops.flow.applied import applied_now, topics_now
from ops.flow.retention import lasts, told
from processors.flow.bundle import CONTROL_TOPIC
from processors.flow.compiled import Topics
from processors.flow.project import FolderProject
from schemas.errors import UsageError
from schemas.positions import Source

MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Used:
    """One topic. Bytes are those of the segments, compressed, every replica counted; without their indexes."""

    topic: str
    kind: str  # input, result, ...
    partitions: int
    records: int  # offsets from the first record that is left to the end: transaction markers count
    bytes: int
    per_million: int | None  # bytes for a million events of the input; None where there was no event yet
    kept: str  # how long records stay

    def as_json(self) -> Mapping[str, object]:
        """As plain values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Extents:
    """Offsets of a topic, added up over its partitions."""

    low: int
    high: int


def used(topic: Topic, kind: str, size_bytes: int, extents: Extents, events: int) -> Used:
    """`events` are all that the input ever had. Where retention has deleted the beginning of a topic, what is left of it stands for as
    large a part of them.
    """
    left = extents.high - extents.low
    behind = events * left / extents.high if extents.high else 0.0
    per_million = round(size_bytes / behind * MILLION) if behind else None
    kept = "compacted" if topic.kept("cleanup.policy") == "compact" else told(lasts(topic.kept("retention.ms")))
    return Used(topic.name, kind, topic.partitions, left, size_bytes, per_million, kept)


def kinds(topics: Topics) -> Mapping[str, str]:
    """Every topic of a flow, and what it is. The control topic is all flows'."""
    named = {topics.input: "input", topics.result: "result", topics.dead_letters: "dead letters", topics.quarantine: "quarantine"}
    waiting = {topics.reviews: "reviews", topics.resume: "resume", **dict.fromkeys(topics.retries, "retry")}
    proof = {topics.generations: "generations", topics.ledger: "ledger", topics.checkpoints: "checkpoints", CONTROL_TOPIC: "control"}
    return {**named, **waiting, **proof}


async def disk_of(kafka: KafkaSettings, project: FolderProject, flow: str) -> Sequence[Used]:
    """Of all topics of a flow.

    Raises:
        UsageError: the flow has no topics yet.
        UnreachableError: no broker answers.
        FailedError: the brokers do not tell.
    """
    admin, reader = KafkaAdmin(kafka), KafkaReader(kafka)
    try:
        named = kinds(topics_now(await applied_now(admin, reader), project, flow))
        there = await admin.describe(list(named))
        if not there:
            raise UsageError(f"{flow} has no topics yet", f"run: weft flow apply {flow}")
        sizes = await bytes_on_disk(kafka, {name: topic.partitions for name, topic in there.items()})
        extents = {name: await _extents(reader, topic) for name, topic in there.items()}
    finally:
        await reader.close()
    events = sum(extents[name].high for name in there if named[name] == "input")
    return [used(there[name], kind, sizes.get(name, 0), extents[name], events) for name, kind in named.items() if name in there]


async def _extents(reader: KafkaReader, topic: Topic) -> Extents:
    found = [await reader.extent(Source(topic.name, partition)) for partition in range(topic.partitions)]
    return Extents(sum(one.low for one in found), sum(one.high for one in found))


def sized(size_bytes: int | None) -> str:
    """For a person; empty where nobody knows."""
    return "" if size_bytes is None else f"{size_bytes / 1e6:,.1f} MB" if size_bytes >= 100_000 else f"{size_bytes / 1e3:,.1f} kB"
