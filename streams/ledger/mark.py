"""The mark: what travels in a committed offset's metadata, so that a takeover needs no scan of the ledger."""

import base64
from dataclasses import dataclass
from typing import Any, Self

import cbor2

from schemas.positions import Source
from streams.ledger import merkle
from streams.ledger.tree import Tree, origin

VERSION = 1
LIMIT_BYTES = 4_096  # the broker's bound on an offset's metadata


@dataclass(frozen=True, slots=True)
class Waiting:
    """A row that waits in place, with the partition paused before it (order: key)."""

    offset: int
    attempt: int
    first_consumed_ms: int
    due_ms: int


@dataclass(frozen=True, slots=True)
class Mark:
    """The head of a source's tree beside the source's committed offset."""

    topic_id: str
    size: int
    frontier: merkle.Frontier
    last_block: int
    waiting: Waiting | None = None

    @classmethod
    def of(cls, tree: Tree, waiting: Waiting | None = None) -> Self:
        """The mark of a tree whose last block has landed."""
        return cls(tree.topic_id, tree.size, tree.frontier, tree.last_block, waiting)

    def tree(self, log_name: str, flow: str, source: Source) -> Tree:
        """The tree again."""
        return Tree(origin(log_name, flow, source), source, self.topic_id, self.size, self.frontier, self.last_block)

    def encode(self) -> str:
        """Base64 of CBOR: [version, topic id, size, frontier as one string, last block, waiting or null]."""
        waiting = self.waiting and [self.waiting.offset, self.waiting.attempt, self.waiting.first_consumed_ms, self.waiting.due_ms]
        parts = [VERSION, self.topic_id, self.size, b"".join(self.frontier), self.last_block, waiting]
        return base64.b64encode(cbor2.dumps(parts)).decode()

    @classmethod
    def decode(cls, text: str) -> Self:
        """Read a mark.

        Raises:
            ValueError: it is none, or of a version that this code does not know.
        """
        try:
            parts = cbor2.loads(base64.b64decode(text, validate=True))
        except (ValueError, cbor2.CBORDecodeError, TypeError, OverflowError, MemoryError, RecursionError) as error:
            raise ValueError(f"the offset's metadata is no mark of Weft: {error}") from error
        if not (isinstance(parts, list) and len(parts) == 6 and parts[0] == VERSION):
            raise ValueError("the offset's metadata is no mark of Weft of a version known here")
        _, topic_id, size, joined, last_block, waiting = parts
        if not (isinstance(topic_id, str) and _is_int(size) and size >= 0 and isinstance(joined, bytes) and _is_int(last_block)):
            raise ValueError("the mark has parts of the wrong type")
        if len(joined) != merkle.HASH_BYTES * size.bit_count():
            raise ValueError(f"the mark's frontier is not that of a tree of {size}")
        frontier = tuple(joined[i : i + merkle.HASH_BYTES] for i in range(0, len(joined), merkle.HASH_BYTES))
        return cls(topic_id, size, frontier, last_block, None if waiting is None else _waiting(waiting))


def _waiting(parts: Any) -> Waiting:
    if not (isinstance(parts, list) and len(parts) == 4 and all(_is_int(part) for part in parts)):
        raise ValueError("the mark's waiting row has parts of the wrong type")
    return Waiting(*parts)


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
