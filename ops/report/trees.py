"""The ledger's own state: each tree with its size, its last signed head, and what is not signed yet."""

from dataclasses import dataclass
from typing import Any

from connectors.log import Reader
from ops.audit.subject import Subject
from ops.report.slab import Slab
from schemas.positions import Source
from streams.ledger import checkpoint


@dataclass(slots=True)
class State:
    """One tree as far as its blocks tell."""

    source: Source
    blocks: int = 0
    size: int = 0
    root: bytes = b""
    last_ms: int = 0
    leaves_bytes: int = 0
    details_bytes: int = 0
    gaps: int = 0
    signed: int = 0
    signed_ms: int | None = None
    signed_at: str = ""  # where the checkpoint stands
    trusted: bool = True


class Trees:
    """All trees of a flow."""

    def __init__(self) -> None:
        self._trees: dict[str, State] = {}
        self.checkpoints = self.foreign = 0

    def add(self, slab: Slab) -> None:
        """One block."""
        block = slab.block
        tree = self._trees.setdefault(block.origin, State(block.source))
        tree.blocks += 1
        tree.size, tree.root, tree.last_ms = block.new_size, block.root, slab.written_ms
        tree.leaves_bytes += len(block.packed_leaves[0])
        tree.details_bytes += len(block.packed_details[0])
        tree.gaps += block.gap is not None

    async def sign(self, reader: Reader, subject: Subject) -> None:
        """Read the signed heads beside the trees. Where no key is known here, they are told and not trusted."""
        for partition in range(await reader.partitions(subject.topics.checkpoints)):
            source = Source(subject.topics.checkpoints, partition)
            async for records in reader.read(source):
                stamps = zip(records.offsets.tolist(), records.timestamps_ms.tolist(), records.values, strict=True)
                for offset, stamp, value in stamps:
                    self._signed(subject, f"{source}/{offset}", stamp, value)

    def _signed(self, subject: Subject, where: str, stamp: int, value: bytes | None) -> None:
        try:
            head, _ = checkpoint.parse(value or b"")
        except ValueError:
            return
        self.checkpoints += 1
        tree = self._trees.get(head.origin)
        if tree is None or head.size < tree.signed:
            return
        try:
            checkpoint.verify(value or b"", subject.verifiers(head.origin))
            trusted = head.size != tree.size or head.root == tree.root
        except ValueError:
            trusted = False
            if subject.keys:  # somebody else's: it says nothing of this tree
                self.foreign += 1
                return
        tree.signed, tree.signed_ms, tree.signed_at, tree.trusted = head.size, stamp, where, trusted

    def figures(self) -> dict[str, Any]:
        """By tree, in the order of their names."""
        told = [
            {
                "origin": origin,
                "size": tree.size,
                "root": tree.root.hex(),
                "blocks": tree.blocks,
                "bytes": tree.leaves_bytes + tree.details_bytes,
                "gaps": tree.gaps,
                "last_ms": tree.last_ms,
                "signed_size": tree.signed,
                "signed_ms": tree.signed_ms,
                "signed_at": tree.signed_at,
                "unsigned": max(0, tree.size - tree.signed),
                "trusted": tree.trusted,
            }
            for origin, tree in sorted(self._trees.items())
        ]
        return {
            "trees": told,
            "checkpoints": self.checkpoints,
            "foreign": self.foreign,
            "leaves": sum(tree.size for tree in self._trees.values()),
        }
