"""The tree of one consumed partition: extended into a new one, so that the committed tree stands until its successor has committed."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

from schemas.positions import Source
from streams.ledger import merkle


def origin(log_name: str, flow: str, source: Source) -> str:
    """The tree's name to the world; also the key of its blocks and the name of its signing key."""
    return f"{log_name}/{flow}/{source.topic}/{source.partition}"


@dataclass(frozen=True, slots=True)
class Tree:
    """The Merkle tree of a source's leaves, as its frontier."""

    origin: str
    source: Source
    topic_id: str
    size: int
    frontier: merkle.Frontier
    last_block: int  # offset in the ledger's partition; -1 where there is none

    @classmethod
    def empty(cls, log_name: str, flow: str, source: Source, topic_id: str) -> Self:
        """The tree before its first leaf. `flow` is the flow's name, without version."""
        return cls(origin(log_name, flow, source), source, topic_id, 0, (), -1)

    def root(self) -> bytes:
        """The tree's root hash, 32 bytes."""
        return merkle.root(self.frontier)

    def extended(self, leaves: Sequence[bytes]) -> Self:
        """The tree with these encoded leaves behind its own."""
        frontier = merkle.append(self.size, self.frontier, merkle.leaf_hashes(leaves))
        return replace(self, size=self.size + len(leaves), frontier=frontier)

    def landed(self, last_block: int) -> Self:
        """The tree once its last block is known to stand at that offset of the ledger's partition."""
        return replace(self, last_block=last_block)
