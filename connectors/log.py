"""The log as the lane sees it: ports without Kafka's client in them. Kafka and an in-memory twin pass one contract suite."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from schemas.positions import Position, Source

Headers = Sequence[tuple[str, bytes | None]]


@dataclass(frozen=True, slots=True)
class Records:
    """Records of one source in offset order, as columns of equal length n.

    One that could not be read, as its batch takes too much memory, has no key, no value, and the header OVERSIZED alone.
    """

    source: Source
    offsets: npt.NDArray[np.int64]
    timestamps_ms: npt.NDArray[np.int64]
    keys: Sequence[bytes | None]
    values: Sequence[bytes | None]
    headers: Sequence[Headers] | None  # None where they were not asked for

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True, slots=True)
class Fetched:
    """What one fetch brought: records by source, and the sources whose end was reached by it."""

    records: Sequence[Records]
    ended: frozenset[Source] = frozenset()


@dataclass(frozen=True, slots=True)
class Outgoing:
    """n records for one topic. Without a partition the key decides, as Java's default partitioner does (murmur2)."""

    topic: str
    keys: Sequence[bytes | None]
    values: Sequence[bytes | None]
    headers: Sequence[list[tuple[str, bytes | None]]] | None = None
    partition: int | None = None
    tracked: bool = False  # flush() then says at which offsets they landed


@dataclass(frozen=True, slots=True)
class Commit:
    """The next offset to consume of a source, and the text that travels with it (<= 4,096 bytes)."""

    source: Source
    offset: int
    metadata: str


@dataclass(frozen=True, slots=True)
class Extent:
    """What a partition holds: offsets in [low, high), and the id of its topic."""

    low: int
    high: int
    topic_id: str


@dataclass(frozen=True, slots=True)
class Ends:
    """Where a partition ends: below `stable` every transaction has ended, at `high` the next record will stand."""

    stable: int
    high: int


class Owner(Protocol):
    """Who must hear of rebalances: the lane. Each call ends before the log goes on, and may itself call the log."""

    async def assigned(self, sources: Sequence[Source]) -> Mapping[Source, int]:
        """These came; answers with the offset to start each at. Called for empty assignments too."""

    async def revoked(self, sources: Sequence[Source]) -> None:
        """These go, and may still be committed until this returns."""

    async def lost(self, sources: Sequence[Source]) -> None:
        """These are gone already: nothing of theirs may be committed."""


class Log(Protocol):
    """One member of the group, with one transactional producer. Every call may raise a LogError; produce only an AbortError."""

    async def start(self, topics: Sequence[str], owner: Owner) -> None:
        """Join the group and end what an earlier holder of this slot left open."""

    async def fetch(self, max_rows: int, max_bytes: int, wait_s: float, headers: frozenset[str] = frozenset()) -> Fetched:
        """What is there, at most max_rows; waits up to wait_s for the first record. `headers`: topics whose headers are read.

        Stops after the record that brings keys, values and headers to max_bytes, so one record may pass it.

        Raises:
            UnreadableError: a batch is damaged, and all that stands before it was handed over.
        """

    async def begin(self) -> None:
        """Open a transaction."""

    def produce(self, outgoing: Outgoing) -> None:
        """Hand records to the open transaction; they are on their way at once.

        Raises:
            AbortError: a record was refused (e.g. above the topic's size): the transaction must not commit.
        """

    async def flush(self) -> Sequence[int]:
        """Wait until all produced records have landed; the offsets of the tracked ones, in order of produce."""

    async def commit(self, commits: Sequence[Commit]) -> None:
        """Send the offsets in the transaction and commit it.

        Raises:
            AbortError, OwnershipError: it did not commit; abort it.
            LogError: any other; it may or may not have committed: end the process.
        """

    async def abort(self) -> None:
        """Abort the open transaction; none open is no error."""

    async def rewind(self, offsets: Mapping[Source, int]) -> None:
        """Fetch these sources from there next; what was fetched beyond is thrown away."""

    async def pause(self, sources: Sequence[Source]) -> None:
        """Fetch nothing from these, and stay in the group."""

    async def resume(self, sources: Sequence[Source]) -> None:
        """Fetch from these again."""

    async def committed(self, sources: Sequence[Source]) -> Mapping[Source, Commit | None]:
        """The group's committed offsets with metadata; None where there is none. Waits for an open transaction on them."""

    async def ends(self, topics: Sequence[str]) -> Mapping[Source, Ends]:
        """Where each partition of these topics ends now."""

    async def rooms(self, topics: Sequence[str]) -> Mapping[str, int]:
        """The largest record that each of these topics takes, in bytes; without those that don't tell."""

    async def close(self) -> None:
        """Leave the group and close the producer."""


class Reader(Protocol):
    """Reads committed records without a group: tails, replays, single records."""

    async def extent(self, source: Source) -> Extent:
        """What the partition holds now."""

    async def partitions(self, topic: str) -> int:
        """How many partitions the topic has.

        Raises:
            UsageError: there is no such topic.
        """

    async def ends(self, topic: str) -> Mapping[Source, Ends]:
        """Where each partition of the topic ends now.

        Raises:
            UsageError: there is no such topic.
        """

    def read(self, source: Source, start: int = 0) -> AsyncIterator[Records]:
        """All committed records from `start` (or the low watermark, if higher) up to the partition's end as of now, with headers.

        Raises:
            UnreadableError: a batch is damaged, and all that stands before it was handed over.
        """

    async def at(self, position: Position) -> Records | None:
        """The one record at a position; None if it is no longer there.

        Raises:
            UnreadableError: it stands in a batch that is damaged.
        """

    async def close(self) -> None:
        """Let go of the connections."""


class Publisher(Protocol):
    """Sends records outside any transaction: decisions, redrives, alerts, checkpoints, sample events."""

    async def publish(self, outgoing: Outgoing) -> Sequence[Position]:
        """Send and wait until all have landed; where."""

    async def close(self) -> None:
        """Send what is left and let go of the connections."""
