"""The signed heads of a flow: read from its checkpoint topic, verified, compared with the trees as they are rebuilt."""

from collections import defaultdict
from dataclasses import dataclass, field

from connectors.log import Reader
from ops.audit.report import Law, Report
from ops.audit.subject import Subject
from schemas.positions import Source
from streams.ledger import checkpoint

KEPT = 1_000
"""Heads of a tree that are remembered once they were proven, so that a later copy of one can be compared."""


@dataclass(slots=True)
class Heads:
    """The signed heads of one tree, root by size: those to compare, and those that agreed."""

    due: dict[int, bytes] = field(default_factory=dict)
    proven: dict[int, bytes] = field(default_factory=dict)

    @property
    def largest(self) -> int:
        """The size of the largest head."""
        return max((*self.due, *self.proven), default=0)

    def within(self, old: int, new: int) -> list[int]:
        """Sizes to compare while a tree grows from old to new, ascending."""
        return sorted(size for size in self.due if old < size <= new)

    def agreed(self, size: int) -> None:
        """The tree has this root at this size."""
        self.proven[size] = self.due.pop(size)
        if len(self.proven) > KEPT:
            del self.proven[min(self.proven)]


@dataclass(slots=True)
class Signed:
    """The heads of all trees of a flow, by origin."""

    subject: Subject
    report: Report
    heads: defaultdict[str, Heads] = field(default_factory=lambda: defaultdict(Heads))
    next: dict[int, int] = field(default_factory=dict)  # offset to read from, by partition

    async def read(self, reader: Reader) -> None:
        """Read what is new."""
        for partition in range(await reader.partitions(self.subject.topics.checkpoints)):
            source = Source(self.subject.topics.checkpoints, partition)
            async for records in reader.read(source, self.next.get(partition, 0)):
                for offset, value in zip(records.offsets.tolist(), records.values, strict=True):
                    self._take(f"{source}/{offset}", value)
                    self.next[partition] = offset + 1

    def _take(self, where: str, value: bytes | None) -> None:
        try:
            if value is None:
                raise ValueError("it is empty")
            claimed, _ = checkpoint.parse(value)
            head = checkpoint.verify(value, self.subject.verifiers(claimed.origin))
        except ValueError as error:
            self.report.find(Law.CHECKPOINTS, f"The checkpoint at {where} does not hold: {error}.")
            return
        self.report.counts["checkpoints"] += 1
        heads = self.heads[head.origin]
        known = heads.due.get(head.size) or heads.proven.get(head.size)
        if known is None:
            heads.due[head.size] = head.root
        elif known != head.root:
            self.report.find(Law.CHECKPOINTS, f"Two heads of size {head.size} were signed for {head.origin}: the log was forked ({where}).")
