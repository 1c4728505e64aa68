"""One partition in memory: records, transaction markers, watermarks, the last stable offset."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import attrgetter

import numpy as np

from connectors.log import Headers, Records
from schemas.headers import headers_size
from schemas.positions import Source

_offset = attrgetter("offset")


@dataclass(eq=False, slots=True)
class Transaction:
    """An open or ended transaction; records point to theirs."""

    name: str
    started_s: float
    committed: bool = False
    partitions: dict["Partition", int] = field(default_factory=dict)  # each with the first offset written


@dataclass(slots=True)
class Entry:
    """One record as stored."""

    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    transaction: Transaction | None

    @property
    def size_bytes(self) -> int:
        """Of key, value and headers."""
        return len(self.key or b"") + len(self.value or b"") + headers_size(self.headers)

    @property
    def visible(self) -> bool:
        """Whether `read_committed` delivers it, if it is below the last stable offset."""
        return self.transaction is None or self.transaction.committed


@dataclass(eq=False, slots=True)
class Partition:
    """An append-only log with holes: markers take offsets, compaction and retention remove records."""

    source: Source
    low: int = 0
    high: int = 0  # the next offset
    entries: list[Entry] = field(default_factory=list)
    open: dict[Transaction, None] = field(default_factory=dict)

    @property
    def stable(self) -> int:
        """The last stable offset: `read_committed` sees nothing at or beyond it."""
        return min(transaction.partitions[self] for transaction in self.open) if self.open else self.high

    def append(self, entry: Entry) -> int:
        """Store a record; its offset."""
        entry.offset = self.high
        self.entries.append(entry)
        if entry.transaction is not None and self not in entry.transaction.partitions:
            entry.transaction.partitions[self] = entry.offset
            self.open[entry.transaction] = None
        self.high += 1
        return entry.offset

    def end(self, transaction: Transaction) -> None:
        """Write the transaction's marker: it also ends what its producer left open here before."""
        for one in [one for one in self.open if one.name == transaction.name]:
            one.committed = transaction.committed
            del self.open[one]
        self.high += 1

    def scan(self, start: int, max_rows: int, max_bytes: int) -> tuple[list[Entry], int]:
        """Committed records from `start`, and where to go on; stops after the record that brings what they hold to max_bytes."""
        found: list[Entry] = []
        room, stable = max_bytes, self.stable
        for at in range(bisect_left(self.entries, start, key=_offset), len(self.entries)):
            entry = self.entries[at]
            if entry.offset >= stable:
                break
            if not entry.visible:
                continue
            found.append(entry)
            room -= entry.size_bytes
            if len(found) >= max_rows or room <= 0:
                return found, entry.offset + 1
        return found, max(start, stable)

    def purge(self, before: int) -> None:
        """Delete the records below an offset: the low watermark moves there."""
        self.low = max(self.low, min(before, self.stable))
        del self.entries[: bisect_left(self.entries, self.low, key=_offset)]

    def expire(self, before_ms: int) -> None:
        """Delete the oldest records as long as they are older than `before_ms`."""
        kept = next((entry.offset for entry in self.entries if entry.timestamp_ms >= before_ms), self.high)
        self.purge(kept)

    def compact(self, drop_tombstones: bool = False) -> None:
        """Keep only the newest committed record of each key below the last stable offset."""
        stable = self.stable
        newest = {entry.key: entry.offset for entry in self.entries if entry.offset < stable and entry.visible}
        self.entries = [
            entry
            for entry in self.entries
            if entry.offset >= stable
            or (newest.get(entry.key) == entry.offset and entry.visible and not (drop_tombstones and entry.value is None))
        ]


def as_records(source: Source, entries: Sequence[Entry], headers: bool) -> Records:
    """Entries as columns."""
    return Records(
        source,
        np.array([entry.offset for entry in entries], dtype=np.int64),
        np.array([entry.timestamp_ms for entry in entries], dtype=np.int64),
        [entry.key for entry in entries],
        [entry.value for entry in entries],
        [entry.headers for entry in entries] if headers else None,
    )
