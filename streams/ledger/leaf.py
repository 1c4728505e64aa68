"""The leaf: one pass of one row, as a deterministic CBOR array (RFC 8949, 4.2.1). docs/ledger.md numbers its fields."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import repeat
from struct import Struct
from typing import Any, NamedTuple, Self

import cbor2
import numpy as np
import numpy.typing as npt

from schemas.positions import Position, Source

VERSION = 1
FIELDS = 16
SALT_BYTES = 16
EVENT_ID_BYTES = 512  # a longer id is replaced by its digest, so that a leaf always fits a block

_LENGTH = Struct(">i").pack
_NULL = _LENGTH(-1)
_WIDE = ((25, 1 << 8, 1 << 16, Struct(">BH").pack), (26, 1 << 16, 1 << 32, Struct(">BI").pack))  # head, numbers [from, to), and how


def digest(key: bytes | None, value: bytes | None) -> bytes:
    """SHA-256 of a record's key and value, each behind its length (int32, big-endian, -1 for null). Headers are left out."""
    head = _NULL if key is None else _LENGTH(len(key)) + key
    return sha256(head + (_NULL if value is None else _LENGTH(len(value)) + value)).digest()


def digests(keys: Sequence[bytes | None], values: Sequence[bytes | None]) -> list[bytes]:
    """The digest of each record, be it input or output."""
    return [
        sha256((_NULL if key is None else _LENGTH(len(key)) + key) + (_NULL if value is None else _LENGTH(len(value)) + value)).digest()
        for key, value in zip(keys, values, strict=True)
    ]


class Kind(NamedTuple):
    """What most leaves of a batch have in common."""

    verdict: str
    reason: str
    rule: str
    model: str  # name@version, or empty
    degraded: bool


@dataclass(frozen=True, slots=True)
class Leaves:
    """n leaves of one consumed source and one flow version, as columns in consumed order."""

    source: Source
    flow: str  # name@version
    offsets: npt.NDArray[np.int64]
    event_ids: Sequence[str]
    kinds: Sequence[Kind]
    kind: Sequence[int]  # of each leaf, its index in `kinds`
    inputs: Sequence[bytes]  # digests
    outputs: Sequence[bytes]  # digests; empty where there is no outcome record
    details: Sequence[bytes]  # encoded; the leaf holds their SHA-256
    salts: Sequence[bytes]
    roots: Sequence[Position] | None = None  # None: each its own position
    generations: Sequence[int] | None = None  # None: 0
    passes: Sequence[int] | None = None  # None: 0

    def __len__(self) -> int:
        return len(self.offsets)


@dataclass(frozen=True, slots=True)
class Leaf:
    """One leaf, read."""

    position: Position
    root: Position
    generation: int
    number: int  # of the pass
    event_id: str
    flow: str
    verdict: str
    reason: str
    rule: str
    model: str
    degraded: bool
    input: bytes
    output: bytes
    details: bytes
    salt: bytes

    @classmethod
    def of(cls, fields: Any) -> Self:
        """A leaf from its decoded CBOR.

        Raises:
            ValueError: it is no leaf of this version.
        """
        if not well_typed(fields):
            raise ValueError("not a leaf of a version known here")
        return cls(Position(*fields[1]), Position(*fields[2]), *fields[3:])


_TYPES = (int, list, list, int, int, str, str, str, str, str, str, bool, bytes, bytes, bytes, bytes)
_PLACE = (str, int, int)


def well_typed(fields: Any) -> bool:
    """Whether decoded CBOR has the fields of a leaf, with the types, sizes and ranges that docs/ledger.md gives."""
    if type(fields) is not list or tuple(map(type, fields)) != _TYPES or fields[0] != VERSION:
        return False
    _, own, root, generation, number, *_, taken, out, details, salt = fields
    if tuple(map(type, own)) != _PLACE or tuple(map(type, root)) != _PLACE:
        return False
    if min(own[1], own[2], root[1], root[2], generation, number) < 0:
        return False
    return len(taken) == len(details) == 32 and len(out) in (0, 32) and len(salt) == SALT_BYTES


def all_canonical(decoded: Sequence[Any], leaves: Sequence[bytes]) -> bool:
    """Whether each of these is the one encoding of its fields. Types must have been checked: floats and maps have others."""
    again = cbor2.dumps(decoded)
    return again == _head(0x80, len(leaves)) + b"".join(leaves)


def salts(n: int, randomness: bytes) -> list[bytes]:
    """n salts out of n * 16 random bytes."""
    return [randomness[i : i + SALT_BYTES] for i in range(0, n * SALT_BYTES, SALT_BYTES)]


def encode(leaves: Leaves) -> list[bytes]:
    """Each leaf as deterministic CBOR. Rows of one kind share a piece of it."""
    head = bytes([0x80 | FIELDS, VERSION])  # an array of sixteen has a one-byte head up to 23
    place = b"\x83" + _text(leaves.source.topic) + _uint(leaves.source.partition)
    own = [place + offset for offset in _uints(leaves.offsets)]
    roots = own if leaves.roots is None else [encode_position(root) for root in leaves.roots]
    n = len(leaves)
    trips = [b"\x00\x00"] * n
    if leaves.generations is not None or leaves.passes is not None:
        trips = [_uint(g) + _uint(p) for g, p in zip(leaves.generations or [0] * n, leaves.passes or [0] * n, strict=True)]
    middles = map([_middle(leaves.flow, kind) for kind in leaves.kinds].__getitem__, leaves.kind)
    events = map(_event_id, leaves.event_ids)
    columns = zip(own, roots, trips, events, middles, leaves.inputs, leaves.outputs, leaves.details, leaves.salts, strict=True)
    return [
        b"".join(
            (
                head,
                position,
                root,
                trip,
                event,
                middle,
                taken,
                b"\x58\x20" if out else b"\x40",
                out,
                b"\x58\x20",
                sha256(detail).digest(),
                b"\x50",
                salt,
            )
        )
        for position, root, trip, event, middle, taken, out, detail, salt in columns
    ]


def _middle(flow: str, kind: Kind) -> bytes:
    """Flow to degraded, and the head of the input digest."""
    return b"".join(map(_text, (flow, *kind[:4]))) + (b"\xf5" if kind.degraded else b"\xf4") + b"\x58\x20"


def decode(leaf: bytes) -> Leaf:
    """Read a leaf: of one decision there is only one encoding.

    Raises:
        ValueError: it is none, not canonical, or of a version that this code does not know.
    """
    try:
        fields = cbor2.loads(leaf)
        read = Leaf.of(fields)
        if not all_canonical([fields], [leaf]):
            raise ValueError("not a leaf: it has another encoding than the one that its fields have")
        return read
    except (cbor2.CBORDecodeError, TypeError, OverflowError, MemoryError, RecursionError) as error:
        raise ValueError(f"not a leaf: {error}") from error


def _event_id(event: str) -> bytes:
    raw = event.encode("utf-8", "replace")
    return _HEADS[len(raw)] + raw if len(raw) <= EVENT_ID_BYTES else _text("sha256:" + sha256(raw).hexdigest())


def bounded_id(event: str) -> str:
    """The event id as a leaf holds it."""
    raw = event.encode("utf-8", "replace")
    return "sha256:" + sha256(raw).hexdigest() if len(raw) > EVENT_ID_BYTES else raw.decode()


def encode_position(position: Position) -> bytes:
    """A position as it stands in a leaf."""
    return b"\x83" + _text(position.topic) + _uint(position.partition) + _uint(position.offset)


def _text(text: str) -> bytes:
    raw = text.encode("utf-8", "replace")
    return _head(0x60, len(raw)) + raw


def _uint(number: int) -> bytes:
    return _head(0, number)


def _uints(numbers: npt.NDArray[np.int64]) -> Iterable[bytes]:
    """Each number as an item; at once where all take as many bytes, as the offsets of a batch do."""
    for head, low, high, pack in _WIDE:
        if len(numbers) and numbers.min() >= low and numbers.max() < high:
            return map(pack, repeat(head), numbers.tolist())
    return map(_uint, numbers.tolist())


def _head(major: int, n: int) -> bytes:
    """The head of a CBOR item in the fewest bytes."""
    if n < 0:
        raise ValueError(f"{n} is below zero")
    if n < 24:
        return bytes((major | n,))
    if n < 1 << 8:
        return bytes((major | 24, n))
    if n < 1 << 16:
        return bytes((major | 25,)) + n.to_bytes(2, "big")
    if n < 1 << 32:
        return bytes((major | 26,)) + n.to_bytes(4, "big")
    return bytes((major | 27,)) + n.to_bytes(8, "big")


_HEADS = [_head(0x60, n) for n in range(EVENT_ID_BYTES + 1)]
"""Of texts."""
