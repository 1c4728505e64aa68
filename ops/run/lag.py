"""How far behind a flow is: by partition what is committed and where it ends, rows not done yet, open reviews.

Transaction markers take offsets too, so what is left is counted by reading it, up to a bound; only beyond that it is told from the offsets.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from connectors.log import Commit, Reader
from processors.flow.compiled import Topics
from schemas.positions import Source

COUNTED = 20_000  # offsets; beyond that the number of rows is an estimate


@dataclass(frozen=True, slots=True)
class Behind:
    """One consumed partition."""

    source: Source
    kind: str  # input, resume or retry
    committed: int | None  # the next offset to do; None if none was ever committed
    end: int  # behind the last committed record
    rows: int  # left to do; of a retry topic: waiting until they are due
    exact: bool


@dataclass(frozen=True, slots=True)
class Lag:
    """A flow's."""

    partitions: Sequence[Behind]
    reviews: Mapping[int, int]  # open, by partition

    def rows(self, *kinds: str) -> int:
        """Left to do, in topics of these kinds."""
        return sum(behind.rows for behind in self.partitions if behind.kind in kinds)

    def empty(self) -> Sequence[str]:
        """Topics beside the input in which nothing is left to do."""
        left = {behind.source.topic for behind in self.partitions if behind.rows or behind.kind == "input"}
        return [topic for topic in dict.fromkeys(behind.source.topic for behind in self.partitions) if topic not in left]


async def lag(reader: Reader, topics: Topics, offsets: Mapping[Source, Commit]) -> Lag:
    """Look at every partition that the flow consumes.

    Raises:
        UsageError: a topic of the flow is missing.
        UnreachableError: no broker answers.
    """
    kinds = {topics.input: "input", topics.resume: "resume"} | dict.fromkeys(topics.retries, "retry")
    found = []
    for topic, kind in kinds.items():
        for partition in range(await reader.partitions(topic)):
            source = Source(topic, partition)
            found.append(await _behind(reader, source, kind, offsets.get(source)))
    count = await reader.partitions(topics.reviews)
    reviews = {partition: await _open(reader, Source(topics.reviews, partition)) for partition in range(count)}
    return Lag(found, reviews)


async def _behind(reader: Reader, source: Source, kind: str, commit: Commit | None) -> Behind:
    extent = await reader.extent(source)
    committed = commit.offset if commit is not None and commit.offset >= 0 else None
    at = max(committed or 0, extent.low)
    exact = extent.high - at <= COUNTED
    rows = max(0, extent.high - at)
    if exact and rows:
        rows = sum([len(records) async for records in reader.read(source, at)])
    return Behind(source, kind, committed, extent.high, rows, exact)


async def _open(reader: Reader, source: Source) -> int:
    """Reviews that no tombstone has closed."""
    last: dict[bytes | None, bool] = {}
    async for records in reader.read(source):
        last |= {key: value is not None for key, value in zip(records.keys, records.values, strict=True)}
    return sum(last.values())
