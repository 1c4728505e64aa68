"""Accepts that records of a partition are lost: a block of the ledger says which, who says so and why; the flow goes on behind them."""

from collections.abc import Sequence
from dataclasses import dataclass

from connectors.kafka.outside import Outside
from connectors.log import Commit, Outgoing, Reader
from ops.audit.subject import Subject
from schemas.errors import FailedError, FatalError, UnreadableError, UsageError
from schemas.positions import Position, Source
from streams.ledger.block import pack_gap
from streams.ledger.mark import Mark
from streams.ledger.tree import Tree
from streams.takeover import Takeover, first_record, last_block


@dataclass(frozen=True, slots=True)
class Gap:
    """What is given up: the offsets [first, next), or, where `next` is not behind `first`, all that the ledger knew from there on."""

    refusal: str  # what the lane says
    tree: Tree
    first: int
    next: int
    topic_id: str


async def find_gap(reader: Reader, subject: Subject, source: Source, committed: Commit | None) -> Gap:
    """Why the lane refuses the partition, and where it could go on: at the first record that is there.

    Raises:
        UsageError: the flow does not consume it, or the lane does not refuse it.
        FailedError: it is the ledger that lost blocks.
    """
    topics = subject.topics
    if source.topic not in topics.consumed or not 0 <= source.partition < await reader.partitions(source.topic):
        raise UsageError(f"{subject.flow} does not consume {source}", f"It consumes partitions of {', '.join(topics.consumed)}.")
    extent = await reader.extent(source)
    try:
        start = await Takeover(reader, subject.flow, subject.log_name, topics.ledger, subject.latest).start(source, committed)
    except FatalError as refused:
        refusal = refused.sentence
    else:
        if (broken := await _unreadable(reader, source, start.offset)) is None:
            raise UsageError(
                f"{source} can be continued: there is no gap to accept", f"Its next record is read from offset {start.offset} on."
            )
        behind = await _behind(reader, broken.position, extent.high)
        return Gap(broken.sentence, start.tree, start.offset, behind, extent.topic_id)
    tree, first = await _known(reader, subject, source, committed)
    there = tree.topic_id == extent.topic_id and extent.low <= first <= extent.high
    onward = first if there else extent.high if first > extent.high and tree.topic_id == extent.topic_id else extent.low
    return Gap(refusal, tree, first, onward, extent.topic_id)


async def accept(outside: Outside, subject: Subject, gap: Gap, who: str, why: str) -> None:
    """Write the block and the offset behind the gap, in one transaction.

    Raises:
        UsageError: the flow is running.
    """
    value, tree = pack_gap(gap.tree, gap.first, gap.next, gap.topic_id, f"{who}: {why} ({gap.refusal})")

    def behind(offsets: Sequence[int]) -> Commit:
        return Commit(tree.source, gap.next, Mark.of(tree.landed(offsets[0])).encode())

    block = Outgoing(subject.topics.ledger, [tree.origin.encode()], [value], partition=tree.source.partition, tracked=True)
    await outside.commit(block, behind)


async def _unreadable(reader: Reader, source: Source, start: int) -> UnreadableError | None:
    """Set if no record can be read from `start` on but behind a batch that can't be."""
    try:
        await first_record(reader, source, start)
    except UnreadableError as error:
        return error
    return None


async def _behind(reader: Reader, batch: Position, high: int) -> int:
    """The offset behind a batch that can't be read. Whichever of its offsets is read, the error is its first: search by that."""

    async def inside(offset: int) -> bool:
        try:
            await reader.at(batch._replace(offset=offset))
        except UnreadableError as error:
            return error.position == batch
        return False

    last, step = batch.offset, 1
    while last + step < high and await inside(last + step):
        last, step = last + step, step * 2
    behind = min(last + step, high)
    while behind - last > 1:
        middle = (last + behind) // 2
        last, behind = (middle, behind) if await inside(middle) else (last, middle)
    return behind


async def _known(reader: Reader, subject: Subject, source: Source, committed: Commit | None) -> tuple[Tree, int]:
    """The tree and the offset behind it: of the ledger, whose last block is written with each commit; else of the mark."""
    origin = subject.origin(source)
    last = await last_block(reader, Source(subject.topics.ledger, source.partition), origin)
    marked = _marked(subject, source, committed)
    if last is None:
        extent = await reader.extent(source)
        if marked is not None and marked[0].size == 0 and source.topic != subject.latest:
            return marked[0], min(marked[1], extent.low)  # a tree begins at the first record, wherever somebody moved the offset
        return marked or (Tree.empty(subject.log_name, subject.flow, source, extent.topic_id), extent.low)
    offset, block = last
    if marked is not None and marked[0].size > block.new_size:  # to go on from fewer leaves would sign sizes a second time
        sentence = f"the ledger has {block.new_size} leaves of {origin}, {marked[0].size} were committed: blocks are lost"
        raise FailedError(sentence, "Bring the ledger's topic back from a copy.")
    return block.tree(offset), block.next


def _marked(subject: Subject, source: Source, committed: Commit | None) -> tuple[Tree, int] | None:
    """What the committed offset's metadata says; None where Weft did not write it."""
    if committed is None:
        return None
    try:
        return Mark.decode(committed.metadata).tree(subject.log_name, subject.flow, source), committed.offset
    except ValueError:
        return None
