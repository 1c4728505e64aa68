"""The outcome records beside the ledger's leaves: a join on disk by buckets of root positions, so that memory stays flat."""

import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from enum import IntEnum
from pathlib import Path
from struct import Struct
from typing import Final, NamedTuple, Self

from schemas.vocabulary import Verdict


class Kind(IntEnum):
    """Which topic an outcome stands on."""

    RESULT = 0
    DEAD_LETTER = 1
    QUARANTINE = 2
    REVIEW = 3
    RETRY = 4


_KINDS: Final = {
    Verdict.RESULT: Kind.RESULT,
    Verdict.DEAD_LETTER: Kind.DEAD_LETTER,
    Verdict.UNREADABLE: Kind.DEAD_LETTER,
    Verdict.QUARANTINE: Kind.QUARANTINE,
    Verdict.REVIEW: Kind.REVIEW,
    Verdict.RETRY: Kind.RETRY,
}


def kind_of(verdict: Verdict) -> Kind:
    """The kind of a verdict that has a record."""
    return _KINDS[verdict]


_KEY: Final = Struct(">BIq32s")
_SPAN: Final = 18  # a bucket holds 2**18 offsets of a partition: some 25 MB while it is compared
_HELD_BYTES: Final = 32 << 20  # kept in memory before anything is written to disk


class Outcome(NamedTuple):
    """One outcome, as leaf and record agree on it."""

    kind: int
    partition: int  # of the root position
    offset: int
    digest: bytes

    @classmethod
    def of(cls, key: bytes) -> Self:
        """An outcome from its packed key."""
        return cls(*_KEY.unpack(key))


class Spill:
    """Packed keys by bucket, in memory as long as they are few, then on disk."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._name = folder, name
        self._held: defaultdict[tuple[int, int], list[bytes]] = defaultdict(list)
        self._rows = 0
        self.buckets: set[tuple[int, int]] = set()

    def add(self, kind: int, partition: int, offset: int, digest: bytes) -> None:
        """One key more."""
        self._held[partition, offset >> _SPAN].append(_KEY.pack(kind, partition, offset, digest))
        self._rows += 1
        if self._rows * _KEY.size > _HELD_BYTES:
            self._write()

    def add_all(self, keys: Iterable[bytes]) -> None:
        """Keys that were packed before."""
        for key in keys:
            self.add(*_KEY.unpack(key))

    def _write(self) -> None:
        for bucket, keys in self._held.items():
            with self._file(bucket).open("ab") as file:
                file.writelines(keys)
        self.buckets.update(self._held)
        self._held.clear()
        self._rows = 0

    def _file(self, bucket: tuple[int, int]) -> Path:
        return self._folder / f"{self._name}-{bucket[0]}-{bucket[1]}"

    def all_buckets(self) -> set[tuple[int, int]]:
        """Buckets with a key."""
        return self.buckets | set(self._held)

    def take(self, bucket: tuple[int, int]) -> Counter[bytes]:
        """The keys of a bucket, counted, and gone from here."""
        keys = self._held.pop(bucket, [])
        self._rows -= len(keys)
        counted = Counter(keys)
        if bucket in self.buckets:
            self.buckets.discard(bucket)
            raw = self._file(bucket).read_bytes()
            counted.update(raw[at : at + _KEY.size] for at in range(0, len(raw), _KEY.size))
            self._file(bucket).unlink()
        return counted


class Ledger:
    """What the leaves say must be there, what of it may be gone because its wait is over, and what is there."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="weft-audit-")
        self.expected, self.closed, self.seen = (Spill(Path(self._folder.name), name) for name in ("expected", "closed", "seen"))

    def expect(self, kind: int, partition: int, offset: int, digest: bytes) -> None:
        """A leaf says that this outcome was written."""
        self.expected.add(kind, partition, offset, digest)

    def close(self, kind: int, partition: int, offset: int, digest: bytes) -> None:
        """A later leaf ended this wait: its record may be gone."""
        self.closed.add(kind, partition, offset, digest)

    def see(self, kind: int, partition: int, offset: int, digest: bytes) -> None:
        """This record is there."""
        self.seen.add(kind, partition, offset, digest)

    def join(self) -> Iterator[tuple[Counter[bytes], Counter[bytes], Counter[bytes]]]:
        """Bucket by bucket what is missing, what is missing but may be, and what is there without a leaf or twice. Empties the sides."""
        for bucket in sorted(self.expected.all_buckets() | self.closed.all_buckets() | self.seen.all_buckets()):
            expected, closed, seen = self.expected.take(bucket), self.closed.take(bucket), self.seen.take(bucket)
            missing = expected - seen
            yield missing - closed, missing & closed, seen - expected

    def cleanup(self) -> None:
        """Remove what is on disk."""
        self._folder.cleanup()
