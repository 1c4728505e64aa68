"""The verification: reads a flow's topics alone and proves that every event ended in exactly one outcome.

It is right while workers run: signed heads are read first, then the ledger, then outcomes. What does not agree is compared again after a
pause and a second reading; only what still does not agree, though both sides were read past it, is a finding.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from connectors.log import Reader
from ops.audit.consumed import Consumed
from ops.audit.growth import Growth
from ops.audit.hidden import PAUSE_S, hidden
from ops.audit.outcomes import Kind, Ledger, Outcome
from ops.audit.passes import Passes
from ops.audit.report import Law, Progress, Report, silent
from ops.audit.rows import rows_of
from ops.audit.seen import Seen
from ops.audit.signed import Heads, Signed
from ops.audit.subject import Subject
from schemas.positions import Source
from streams.clock import Clock, SystemClock
from streams.ledger.block import Block, unpack
from streams.takeover import first_record

GRACE_MS: Final = 10_000  # a younger head may not be signed yet


class Head(NamedTuple):
    """A signed head."""

    origin: str
    size: int

    @property
    def partition(self) -> int:
        """Of its tree, and so of the ledger; -1 if it is of no tree of Weft's."""
        number = self.origin.rpartition("/")[2]
        return int(number) if number.isdecimal() else -1


@dataclass(slots=True)
class Verification:
    """One run. What it holds besides the report can be kept and read on from."""

    reader: Reader
    subject: Subject
    report: Report = field(default_factory=Report)
    clock: Clock = field(default_factory=SystemClock)
    progress: Progress = silent
    grace_ms: int = GRACE_MS
    growths: dict[str, Growth] = field(default_factory=dict)
    consumed: dict[str, Consumed] = field(default_factory=dict)
    passes: dict[int, Passes] = field(default_factory=dict)
    next: dict[int, int] = field(default_factory=dict)  # offset of the ledger to read from, by partition
    ledger: Ledger = field(default_factory=Ledger)
    missing: Counter[bytes] = field(default_factory=Counter)  # expected, and not there as far as was read
    extra: Counter[bytes] = field(default_factory=Counter)  # there, and not in the ledger as far as was read
    unread: set[Head] = field(default_factory=set)  # their blocks may stand where nobody can read yet
    signed: Signed = field(init=False)
    seen: Seen = field(init=False)
    _done: int = 0
    _total: int = 0

    def __post_init__(self) -> None:
        self.signed = Signed(self.subject, self.report)
        self.seen = Seen(self.subject, self.report, self.ledger)

    async def run(self) -> Report:
        """Verify all that the topics hold."""
        try:
            self._total = await self._size()
            await self._round()
            if self.missing or self.extra or self._ahead():
                await self._judge()
            await self._end()
        finally:
            self.ledger.cleanup()
        return self.report

    async def _judge(self) -> None:
        """Read both sides on. What was open before and still is, is a finding; what is new is left to the next run.

        So is what may stand behind a transaction that does not end: of a worker that hangs, or whose end the broker lost.
        """
        before_missing, before_extra, before_ahead = self.missing.copy(), self.extra.copy(), self._ahead()
        await self.clock.sleep(PAUSE_S)
        unread = await hidden(self.reader, {self.subject.topics.ledger, *self.seen.topics}, self.clock)
        await self._round()
        topics = {self.seen.topics[source.topic] for source in unread if source.topic in self.seen.topics}
        trees = {source.partition for source in unread if source.topic == self.subject.topics.ledger}
        for key, count in (self.missing & before_missing).items():
            kind = Outcome.of(key).kind
            if self.seen.gone(kind):
                self.report.counts["outcomes gone"] += count
            elif kind not in topics:
                self.report.find(Law.OUTCOMES, f"{_outcome(key)} is in the ledger and not on its topic ({count} missing).")
        for key, count in (self.extra & before_extra).items():
            if Outcome.of(key).partition not in trees:
                self.report.find(Law.OUTCOMES, f"{_outcome(key)} stands on its topic {count} time(s) more than in the ledger.")
        self.unread = {head for head in self._ahead() if head not in before_ahead or head.partition in trees}
        self.missing -= Counter({key: count for key, count in before_missing.items() if Outcome.of(key).kind not in topics})
        self.extra -= Counter({key: count for key, count in before_extra.items() if Outcome.of(key).partition not in trees})
        if unread:
            self.report.note(f"Transactions stand open in {', '.join(map(str, sorted(unread)))}: what is behind is left to the next run.")
        if self.missing or self.extra:
            self.report.note("Workers are running: the newest outcomes are left to the next verification.")

    async def _round(self) -> None:
        """Read what is new, in the order that the proof needs, and compare."""
        await self.signed.read(self.reader)
        for partition in range(await self.reader.partitions(self.subject.topics.ledger)):
            await self._partition(partition)
        await self.seen.read(self.reader, self._tick)
        self.ledger.expected.add_all(self.missing.elements())
        self.ledger.seen.add_all(self.extra.elements())
        self.missing, self.extra = Counter(), Counter()
        for missing, closed, extra in self.ledger.join():
            self.missing.update(missing)
            self.missing.update(key for key in closed.elements() if not self._may_be_gone(key))
            self.extra.update(extra)

    def _ahead(self) -> set[Head]:
        """Signed heads that the ledger has not come to, as far as it was read."""
        sizes = {origin: growth.size for origin, growth in self.growths.items()}
        return {Head(origin, size) for origin, heads in self.signed.heads.items() for size in heads.due if size > sizes.get(origin, 0)}

    def _may_be_gone(self, key: bytes) -> bool:
        """A review's record is compacted away once it is closed; a retry's only by retention."""
        kind = Outcome.of(key).kind
        return kind == Kind.REVIEW or self.seen.gone(kind)

    async def _partition(self, partition: int) -> None:
        """One partition of the ledger, with the consumed partitions of that number beside it."""
        ledger = Source(self.subject.topics.ledger, partition)
        passes = self.passes.setdefault(partition, Passes(self.subject, partition, self.report, self.ledger))
        async for records in self.reader.read(ledger, self.next.get(partition, 0)):
            stamps = records.timestamps_ms.tolist()
            for offset, stamp, value in zip(records.offsets.tolist(), stamps, records.values, strict=True):
                self.next[partition] = offset + 1
                await self._block(ledger, (offset, stamp), value, passes)

    async def _block(self, ledger: Source, place: tuple[int, int], value: bytes | None, passes: Passes) -> None:
        offset, stamp = place
        try:
            block = unpack(value or b"")
        except ValueError as error:
            self.report.find(Law.TREES, f"The record at {ledger}/{offset} is no block: {error}.")
            return
        source = block.source
        if block.origin != self.subject.origin(source) or source.partition != ledger.partition or not self.subject.consumes(source.topic):
            self.report.find(Law.TREES, f"The block at {ledger}/{offset} is of the tree {block.origin}, which is none of this flow's.")
            return
        growth, consumed = await self._tree(block)
        leaves = growth.add(block, offset, stamp)
        rows, offsets = rows_of(block, leaves, self.report)
        await consumed.compare(block, rows, offsets)
        for row in rows:
            passes.add(row)
        self._tick(len(rows))

    async def _tree(self, block: Block) -> tuple[Growth, Consumed]:
        """The block's tree as far as it is, and its source beside it."""
        origin, source = block.origin, block.source
        if origin not in self.growths:
            self.growths[origin] = Growth(origin, source, self.report, self.signed.heads[origin])
            if block.old_size == 0:
                await self._begun(source, block)
        if origin not in self.consumed:
            self.consumed[origin] = Consumed(self.reader, source, block.first, self.report)
        return self.growths[origin], self.consumed[origin]

    async def _begun(self, source: Source, block: Block) -> None:
        """A new tree begins at the first record that is there, unless the flow says otherwise: the low watermark only grows."""
        extent, first = await self.reader.extent(source), block.first
        low = extent.low if extent.topic_id == block.topic_id else first  # else it was made again: Consumed tells that
        if low < first and source.topic == self.subject.latest:
            self.report.note(f"{source}: the flow began at offset {first}; what stands before was never its to decide.")
        elif low < first:
            before = await first_record(self.reader, source, low)
            if before is not None and before < first:
                sentence = (
                    f"{source}: the tree begins at offset {first}, and records stand before it, from {before} on: they were never consumed."
                )
                self.report.find(Law.RECORDS, sentence)

    async def _end(self) -> None:
        """What only the whole shows."""
        for origin, growth in self.growths.items():
            growth.end([head.size for head in self.unread if head.origin == origin])
            await self.consumed[origin].end(growth.topic_id)
        for origin in sorted({head.origin for head in self._ahead() - self.unread} - set(self.growths)):
            self.report.find(Law.CHECKPOINTS, f"{origin}: a head is signed, and the ledger has no block of the tree.")
        late = Signed(self.subject, Report(), next=dict(self.signed.next))
        await late.read(self.reader)
        for origin, growth in self.growths.items():
            growth.tail(late.heads.get(origin, Heads()), self.clock.now_ms(), self.grace_ms)
        self.report.counts["trees"] = len(self.growths)
        self.report.counts["waiting"] = sum(len(passes.waits) for passes in self.passes.values())
        await self._waiting()
        self.progress(self._total, self._total)

    async def _waiting(self) -> None:
        """Records that no worker has taken in yet."""
        for topic in self.subject.topics.consumed:
            for partition in range(await self.reader.partitions(topic)):
                source = Source(topic, partition)
                consumed = self.consumed.get(self.subject.origin(source)) or Consumed(self.reader, source, 0, self.report)
                count = await consumed.waiting()
                if count:
                    self.report.counts["not taken in"] += count
                    self.report.note(f"{source}: about {count} records are not taken in yet.")

    async def _size(self) -> int:
        """About how many records will be read."""
        total = 0
        for topic in (self.subject.topics.input, *self.seen.topics):
            for partition in range(await self.reader.partitions(topic)):
                extent = await self.reader.extent(Source(topic, partition))
                total += extent.high - max(extent.low, self.seen.next.get(Source(topic, partition), 0))
        return total

    def _tick(self, rows: int) -> None:
        self._done += rows
        self.progress(min(self._done, self._total), self._total)


def _outcome(key: bytes) -> str:
    kind, partition, offset, digest = Outcome.of(key)
    return f"The {Kind(kind).name.lower().replace('_', '-')} of event {partition}/{offset} (digest {digest.hex()[:16]})"
