"""The block: leaves and their details as one record of the ledger topic, Avro `weft.LedgerBlock`, always under 900 kB."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from struct import Struct
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schemas.codecs.single_object import SingleObject
from schemas.contracts import built_in
from schemas.positions import Source
from streams.ledger import merkle
from streams.ledger.tree import Tree

LIMIT_BYTES: Final = 900_000
UNPACKED_BYTES: Final = 256 << 20  # no block of ours unpacks to more; one that claims to is refused
LEVEL: Final = -1  # of zstd: three quarters of the time of level 1 for a fortieth more bytes, a third of level 3's

_LENGTH: Final = Struct(">I")
_TOO_LARGE: Final = 0xFFFFFFFF
_GUESS_BYTES: Final = 150  # compressed, of a leaf; its digests and salt alone are 112
_GUESS_RATIO: Final = 0.5  # of details
_GUESS_LIMIT: Final = LIMIT_BYTES * 0.95


@lru_cache(maxsize=1)
def _codec() -> SingleObject:
    return SingleObject(built_in()["weft.LedgerBlock"])


@dataclass(frozen=True, slots=True)
class Block:
    """A block, read. Leaves and details stay packed until they are asked for."""

    origin: str
    source: Source
    topic_id: str
    first: int
    next: int
    old_size: int
    new_size: int
    root: bytes
    frontier: merkle.Frontier
    previous: int
    part: int
    details_schema: str
    signals: str
    gap: str | None
    packed_leaves: tuple[bytes, int]  # compressed, and their size before
    packed_details: tuple[bytes, int]

    @classmethod
    def of(cls, fields: dict[str, Any]) -> Self:
        """A block from its Avro datum."""
        return cls(
            source=Source(fields["topic"], fields["partition"]),
            frontier=tuple(fields["frontier"]),
            packed_leaves=(fields["leaves"], fields["leaves_bytes"]),
            packed_details=(fields["details"], fields["details_bytes"]),
            **{name: fields[name] for name in _PLAIN},
        )

    def leaves(self) -> list[bytes]:
        """The encoded leaves.

        Raises:
            ValueError: they can't be unpacked, or are not as many as the sizes say.
        """
        leaves = [leaf for leaf in _split(*self.packed_leaves) if leaf is not None]
        if len(leaves) != self.new_size - self.old_size:
            raise ValueError(f"the block holds {len(leaves)} leaves and says {self.new_size - self.old_size}")
        return leaves

    def details(self) -> list[bytes | None]:
        """The details of each leaf; None where they were too large to be kept.

        Raises:
            ValueError: they can't be unpacked, or are not as many as the leaves.
        """
        details = _split(*self.packed_details)
        if len(details) != self.new_size - self.old_size:
            raise ValueError(f"the block holds details of {len(details)} leaves and says {self.new_size - self.old_size}")
        return details

    def tree(self, last_block: int) -> Tree:
        """The tree as it is with this block, which stands at that offset of the ledger's partition."""
        return Tree(self.origin, self.source, self.topic_id, self.new_size, self.frontier, last_block)


_PLAIN: Final = (
    "origin",
    "topic_id",
    "first",
    "next",
    "old_size",
    "new_size",
    "root",
    "previous",
    "part",
    "details_schema",
    "signals",
    "gap",
)


@dataclass(frozen=True, slots=True)
class Content:
    """What one batch puts behind one tree: n rows in consumed order, and offsets [first, next) that they answer for."""

    first: int
    next: int
    offsets: npt.NDArray[np.int64]
    leaves: Sequence[bytes]
    details: Sequence[bytes]
    details_schema: str = "{}"
    signals: str = "[]"


def pack(tree: Tree, content: Content) -> tuple[list[bytes], Tree]:
    """The blocks of a batch, each under 900 kB, and the tree with all its leaves.

    `tree.last_block` must be the offset of its last committed block; the new tree keeps it until the new ones have landed (`Tree.landed`).
    """
    values: list[bytes] = []
    at, part, total = 0, 0, len(content.leaves)
    while at < total or not values:
        end = min(total, at + _fitting(content, at))
        value, grown = _encoded(tree, content, (at, end), part)
        while len(value) > LIMIT_BYTES and end - at > 1:
            end = at + (end - at) // 2
            value, grown = _encoded(tree, content, (at, end), part)
        if len(value) > LIMIT_BYTES:
            value, grown = _encoded(tree, content, (at, end), part, keep_details=False)
        values.append(value)
        at, part, tree = end, part + 1, grown
    return values, tree


def pack_gap(tree: Tree, first: int, next_offset: int, topic_id: str, sentence: str) -> tuple[bytes, Tree]:
    """A block that says who accepted, and why, that the offsets [first, next) have no leaf."""
    tree = replace(tree, topic_id=topic_id)
    content = Content(first, next_offset, np.empty(0, np.int64), (), ())
    return _codec().encode(_datum(tree, tree, content, (b"", 0), (b"", 0)) | {"gap": sentence}), tree


def unpack(value: bytes) -> Block:
    """Read a block.

    Raises:
        ValueError: it is none.
    """
    return Block.of(_codec().decode(value))


def _fitting(content: Content, at: int) -> int:
    """A guess at how many rows from `at` on fill a block."""
    details = content.details[at:]
    if _GUESS_BYTES * len(details) + _GUESS_RATIO * sum(map(len, details)) < _GUESS_LIMIT:  # all of them, as nearly always
        return max(1, len(details))
    size = _GUESS_BYTES + _GUESS_RATIO * np.fromiter(map(len, details), float)
    return max(1, int(np.searchsorted(np.cumsum(size), _GUESS_LIMIT)))


def _encoded(tree: Tree, content: Content, rows: tuple[int, int], part: int, keep_details: bool = True) -> tuple[bytes, Tree]:
    at, end = rows
    leaves = content.leaves[at:end]
    details: Sequence[bytes | None] = content.details[at:end] if keep_details else [None] * (end - at)
    grown = tree.extended(leaves)
    datum = _datum(tree, grown, content, _joined(leaves), _joined(details))
    datum["part"] = part
    if part:
        datum |= {"first": int(content.offsets[at]), "signals": "[]"}
    if end < len(content.leaves):
        datum["next"] = int(content.offsets[end])
    return _codec().encode(datum), grown


def _datum(tree: Tree, grown: Tree, content: Content, leaves: tuple[bytes, int], details: tuple[bytes, int]) -> dict[str, Any]:
    return {
        "origin": tree.origin,
        "topic": tree.source.topic,
        "partition": tree.source.partition,
        "topic_id": tree.topic_id,
        "first": content.first,
        "next": content.next,
        "old_size": tree.size,
        "new_size": grown.size,
        "root": grown.root(),
        "frontier": list(grown.frontier),
        "previous": tree.last_block,
        "part": 0,
        "leaves": leaves[0],
        "leaves_bytes": leaves[1],
        "details": details[0],
        "details_bytes": details[1],
        "details_schema": content.details_schema,
        "signals": content.signals,
        "gap": None,
    }


def _joined(items: Sequence[bytes | None]) -> tuple[bytes, int]:
    length = _LENGTH.pack
    raw = b"".join([length(_TOO_LARGE) if item is None else length(len(item)) + item for item in items])
    return (pa.Codec("zstd", LEVEL).compress(raw, asbytes=True) if raw else b""), len(raw)


def _split(packed: bytes, size: int) -> list[bytes | None]:
    if not 0 <= size <= UNPACKED_BYTES:
        raise ValueError(f"the block claims to unpack to {size} bytes")
    if not packed and not size:
        return []
    try:
        raw = pa.Codec("zstd").decompress(packed, size, asbytes=True)
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"the block can't be unpacked: {error}") from error
    items: list[bytes | None] = []
    at, length = 0, _LENGTH.unpack_from
    while at + 4 <= size:
        (n,) = length(raw, at)
        at += 4
        if n == _TOO_LARGE:
            items.append(None)
            continue
        items.append(raw[at : at + n])
        at += n
    if at != size:
        raise ValueError("the block's contents end in the middle of an item")
    return items
