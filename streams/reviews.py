"""The open reviews of a flow, as the owner of a resume partition sees them: read to the end before a decision is judged."""

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field

from connectors.log import Reader
from schemas import pending
from schemas.pending import Pending
from schemas.positions import Position, Source


@dataclass(frozen=True, slots=True)
class Open:
    """One open review: where its record is, and when it expires."""

    offset: int
    due_ms: int


@dataclass(slots=True)
class _Partition:
    next: int = 0
    open: dict[str, Open] = field(default_factory=dict)
    closing: set[str] = field(default_factory=set)  # by batches in flight
    closed: set[str] = field(default_factory=set)  # by settled batches, their tombstone not yet read
    asked: set[str] = field(default_factory=set)  # whose expiry was appended


class Reviews:
    """ce_id -> (offset, due) of what is open, by partition. The records stay in Kafka and are read by offset."""

    def __init__(self, reader: Reader, topic: str) -> None:
        self._reader = reader
        self._topic = topic
        self._partitions: dict[int, _Partition] = defaultdict(_Partition)
        self._reading = asyncio.Lock()

    async def read_on(self, partition: int) -> None:
        """Read the reviews' partition to its end as of now."""
        async with self._reading:
            await self._read_on(partition)

    async def _read_on(self, partition: int) -> None:
        mine = self._partitions[partition]
        async for records in self._reader.read(Source(self._topic, partition), mine.next):
            for offset, key, value in zip(records.offsets.tolist(), records.keys, records.values, strict=True):
                review = (key or b"").decode(errors="replace")
                if value is None:
                    mine.open.pop(review, None)
                    mine.closed.discard(review)
                    mine.asked.discard(review)
                elif (due_ms := _due_ms(value)) is not None:
                    mine.open[review] = Open(offset, due_ms)
                mine.next = offset + 1

    async def find(self, partition: int, review: str) -> Pending | None:
        """The review, if it is open: in the log, and closed neither by a settled batch nor by one in flight."""
        mine = self._partitions[partition]
        found = mine.open.get(review)
        if found is None or review in mine.closing or review in mine.closed:
            return None
        record = await self._reader.at(Position(self._topic, partition, found.offset))
        value = None if record is None else record.values[0]
        return None if value is None else pending.decode(value)

    def closes(self, partition: int, review: str) -> None:
        """A batch in flight closes it."""
        self._partitions[partition].closing.add(review)

    def settled(self, partition: int, review: str) -> None:
        """The batch that closes it has committed; its tombstone is on the way, or was read already."""
        mine = self._partitions[partition]
        mine.closing.discard(review)
        if review in mine.open:
            mine.closed.add(review)

    def dropped(self) -> None:
        """No batch is in flight any more."""
        for mine in self._partitions.values():
            mine.closing.clear()

    def forget(self, partition: int) -> None:
        """The partition went to another owner."""
        self._partitions.pop(partition, None)

    def due(self, partition: int, now_ms: int) -> list[str]:
        """Open reviews past their due time whose expiry was not asked for yet."""
        mine = self._partitions[partition]
        return [
            review for review, one in mine.open.items() if one.due_ms <= now_ms and not {review} & (mine.closing | mine.closed | mine.asked)
        ]

    def asked(self, partition: int, review: str) -> None:
        """Its expiry is on the resume topic."""
        mine = self._partitions[partition]
        if review in mine.open:
            mine.asked.add(review)

    def not_due(self, partition: int, review: str) -> None:
        """Its expiry was asked for too early, by a clock that was ahead: it is asked for again."""
        self._partitions[partition].asked.discard(review)

    def count(self) -> int:
        """How many are open."""
        return sum(len(mine.open) for mine in self._partitions.values())


def _due_ms(value: bytes) -> int | None:
    """When a review expires; None where the record is none."""
    try:
        return pending.decode(value).due_ms
    except ValueError:
        return None
