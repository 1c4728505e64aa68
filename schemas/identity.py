"""Ids that anyone can compute again: of an outcome, and of the work that a sink must not do twice.

Both are BLAKE2b-128 (RFC 7693) in lower-case hex over parts in UTF-8, each after its length as four bytes, big-endian; numbers are
written in decimal.
"""

import hashlib
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import repeat
from struct import Struct
from typing import Final

_LENGTH: Final = Struct(">I").pack
ID_BYTES: Final = 16


def outcome_ids(
    flow: str, roots: Sequence[str], verdict: str, generations: Sequence[int] | int = 0, passes: Sequence[int] | int = 0
) -> list[str]:
    """`ce_id` of n outcomes of one verdict: the hash of flow name, root position, generation, pass and verdict.

    `flow` is the name without its version; `roots` are position texts (`topic/partition/offset`). One number stands for all rows.
    """
    if isinstance(generations, int) and isinstance(passes, int):
        return _hashes(_parts(flow), roots, repeat(_ending(generations, passes, verdict)))
    columns = (repeat(numbers) if isinstance(numbers, int) else numbers for numbers in (generations, passes))
    return _hashes(_parts(flow), roots, map(_ending, *columns, repeat(verdict)))


def idempotency_keys(topic: str, event_ids: Sequence[str], flow: str) -> list[str]:
    """`ce_weftkey` of n events: the hash of input topic, event id and flow name (no version: a replay must not pay twice)."""
    return _hashes(_parts(topic), event_ids, repeat(_parts(flow)))


@lru_cache(maxsize=256)
def _ending(generation: int, number: int, verdict: str) -> bytes:
    """What follows the root position; few of these differ in a batch."""
    return _parts(str(generation), str(number), verdict)


def _parts(*texts: str) -> bytes:
    """Each text after its length, so that no two lists of texts look alike."""
    return b"".join(_LENGTH(len(part)) + part for part in (text.encode() for text in texts))


def _hashes(prefix: bytes, texts: Sequence[str], suffixes: Iterable[bytes]) -> list[str]:
    """One hash a text; the prefix is hashed once."""
    start = hashlib.blake2b(prefix, digest_size=ID_BYTES).copy
    found: list[str] = []
    for text, suffix in zip(texts, suffixes, strict=False):
        part = text.encode()
        hasher = start()
        hasher.update(_LENGTH(len(part)) + part + suffix)
        found.append(hasher.hexdigest())
    return found
