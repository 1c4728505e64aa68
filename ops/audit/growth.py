"""One tree, grown again block by block: each block must follow the one before it and have the root of its leaves."""

from collections.abc import Collection
from dataclasses import dataclass

from ops.audit.report import Law, Report
from ops.audit.signed import Heads
from schemas.positions import Source
from streams.ledger import merkle
from streams.ledger.block import Block


@dataclass(slots=True)
class Growth:
    """A tree as far as it is proven."""

    origin: str
    source: Source
    report: Report
    heads: Heads
    size: int = 0
    frontier: merkle.Frontier = ()
    next: int = -1  # offset behind the last block; -1 before the first
    topic_id: str = ""
    last_block: int = -1
    previous: int = -1  # the last block before the batch that the last block is of
    unsigned_since_ms: int = 0  # when the oldest block behind the last signed head was written

    def add(self, block: Block, offset: int, timestamp_ms: int) -> list[bytes]:
        """Take a block in; its leaves, or none if they can't be read."""
        where = f"the block at offset {offset}"
        self.report.counts["blocks"] += 1
        try:
            leaves = block.leaves()
        except ValueError as error:
            self.report.find(Law.TREES, f"{self.origin}: {where} can't be read: {error}.")
            self._adopt(block, offset)
            return []
        self._follow(block, where)
        if self.size == block.old_size:
            self._grow(block, leaves, where)
        self.unsigned_since_ms = timestamp_ms if self.heads.largest >= block.old_size else self.unsigned_since_ms or timestamp_ms
        self._adopt(block, offset)
        self.report.counts["leaves"] += len(leaves)
        return leaves

    def _follow(self, block: Block, where: str) -> None:
        """The block must stand behind the last one."""
        if self.next < 0:
            if block.old_size > 0:
                self.report.note(f"{self.origin}: the ledger before size {block.old_size} was deleted; the tree is proven from {where} on.")
            self.topic_id = block.topic_id
        elif block.old_size != self.size:
            self.report.find(Law.TREES, f"{self.origin}: {where} starts at size {block.old_size}, the tree has {self.size}.")
        elif block.first != self.next:
            self.report.find(Law.TREES, f"{self.origin}: {where} starts at offset {block.first}, the one before ended at {self.next}.")
        expected = self.previous if block.part else self.last_block
        if self.next >= 0 and block.previous != expected:
            self.report.find(Law.TREES, f"{self.origin}: {where} names {block.previous} as the block before it, that is {expected}.")
        if block.gap is not None:
            self.report.note(f"{self.source}: {self._lost(block)} given up: {block.gap}.")
        elif block.topic_id != self.topic_id:
            self.report.find(Law.TREES, f"{self.origin}: {where} is of another topic (id {block.topic_id}) without an accepted gap.")

    def _lost(self, block: Block) -> str:
        """What a gap gives up. It may give up nothing, where only the committed offset was not the ledger's."""
        if block.topic_id != self.topic_id:
            return f"the topic of id {self.topic_id} was"
        if block.next > block.first:
            return f"offsets {block.first} to {block.next - 1} were"
        return f"what stood from {block.next} on was" if block.next < block.first else "no record was"

    def _grow(self, block: Block, leaves: list[bytes], where: str) -> None:
        """Append the leaves, stopping at each signed size."""
        hashes = merkle.leaf_hashes(leaves)
        size, frontier = block.old_size, self.frontier
        for stop in (*self.heads.within(block.old_size, block.new_size), block.new_size):
            frontier = merkle.append(size, frontier, hashes[size - block.old_size : stop - block.old_size])
            size = stop
            self.compare(size, merkle.root(frontier))
        if merkle.root(frontier) != block.root or frontier != block.frontier:
            self.report.find(Law.TREES, f"{self.origin}: the root of {where} is not that of its leaves.")

    def compare(self, size: int, top: bytes) -> None:
        """Compare with the head signed at this size, if there is one."""
        signed = self.heads.due.get(size)
        if signed is None:
            return
        if signed != top:
            self.report.find(Law.CHECKPOINTS, f"{self.origin}: the head signed at size {size} is not the tree's.")
            del self.heads.due[size]
            return
        self.heads.agreed(size)

    def _adopt(self, block: Block, offset: int) -> None:
        self.size, self.frontier, self.next, self.topic_id = block.new_size, block.frontier, block.next, block.topic_id
        if not block.part:
            self.previous = self.last_block
        self.last_block = offset

    def end(self, unread: Collection[int] = ()) -> None:
        """Nothing more is in the ledger: what is signed beyond it? `unread`: sizes whose blocks may stand where nobody can read yet."""
        self.compare(self.size, merkle.root(self.frontier))
        for size in sorted(self.heads.due.keys() - set(unread)):
            if size > self.size:
                self.report.find(
                    Law.CHECKPOINTS, f"{self.origin}: a head of size {size} is signed, the ledger has {self.size} leaves: some are gone."
                )
            else:
                self.report.note(f"{self.origin}: the head of size {size} is older than what is remembered or kept, and was not compared.")

    def tail(self, late: Heads, now_ms: int, grace_ms: int) -> None:
        """What is not signed? `late` are the heads published while the ledger was read."""
        if late.due.get(self.size, merkle.root(self.frontier)) != merkle.root(self.frontier):
            self.report.find(Law.CHECKPOINTS, f"{self.origin}: the head signed at size {self.size} is not the tree's.")
        tail = self.size - max(self.heads.largest, late.largest)
        if tail > 0:
            age_s = max(0, now_ms - self.unsigned_since_ms) // 1000
            self.report.counts["unsigned"] += tail
            sentence = f"{self.origin}: the last {tail} leaves are not signed, since {age_s} s. When no worker runs: weft audit sign"
            if now_ms - self.unsigned_since_ms > grace_ms:
                self.report.find(Law.CHECKPOINTS, f"{sentence}.")
            else:
                self.report.note(f"{sentence}.")
