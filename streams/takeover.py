"""Where a lane starts a partition that it was given: what the last owner committed is checked against the log before a row is read."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from connectors.log import Commit, Extent, Reader
from schemas.errors import FatalError
from schemas.positions import Position, Source
from streams.ledger.block import Block, unpack
from streams.ledger.mark import Mark, Waiting
from streams.ledger.tree import Tree

AT_ONCE = 4  # each has a client of its own


@dataclass(frozen=True, slots=True)
class Start:
    """The first offset to fetch, the tree so far, and the row that waits in place."""

    offset: int
    tree: Tree
    waiting: Waiting | None = None
    fresh: bool = False  # nothing is committed yet: commit this before the first fetch


@dataclass(frozen=True, slots=True)
class Takeover:
    """Finds the start of a source: (1) what is committed, else (2) the tree's last block in the ledger, else (3) a new tree."""

    reader: Reader
    flow: str
    log_name: str
    ledger: str  # topic
    latest: str = ""  # the topic whose new trees start at its end (input.start)

    async def starts(self, committed: Mapping[Source, Commit | None]) -> Mapping[Source, Start]:
        """Decide for several: each asks the log half a dozen times, so some are asked for side by side.

        Raises:
            FatalError: see start.
        """
        room = asyncio.Semaphore(AT_ONCE)

        async def one(source: Source) -> Start:
            async with room:
                return await self.start(source, committed[source])

        return dict(zip(committed, await asyncio.gather(*map(one, committed)), strict=True))

    async def start(self, source: Source, committed: Commit | None) -> Start:
        """Decide.

        Raises:
            FatalError: what is committed can't be continued; says what is lost and the command that accepts it.
        """
        extent = await self.reader.extent(source)
        if committed is not None:
            start = await self._committed(source, committed, extent)
        else:
            start = await self._recorded(source, extent)
        self._check(source, start, extent)
        return start

    async def _committed(self, source: Source, committed: Commit, extent: Extent) -> Start:
        try:
            mark = Mark.decode(committed.metadata)
        except ValueError as error:
            raise self._refusal(source, f"its committed offset {committed.offset} was not written by Weft ({error})") from error
        if mark.topic_id != extent.topic_id:
            raise self._made_again(source, extent, mark.topic_id)
        tree = mark.tree(self.log_name, self.flow, source)
        block = await self._compare(source, tree)
        if block is not None:
            await self._unmoved(source, block.next, committed.offset)
        elif tree.last_block < 0 and source.topic != self.latest:
            await self._unmoved(source, min(extent.low, committed.offset), committed.offset)
        return Start(committed.offset, tree, mark.waiting)

    async def _unmoved(self, source: Source, behind: int, committed: int) -> None:
        """The ledger ends before `behind`: there the committed offset must stand, or further on where no record lies between."""
        if committed < behind:
            raise self._refusal(source, f"its committed offset {committed} was moved: the ledger has decided all before {behind}")
        passed = await first_record(self.reader, source, behind) if committed > behind else None
        if passed is not None and passed < committed:
            raise self._refusal(source, f"its committed offset {committed} was moved: the record at {passed} was never decided")

    async def _compare(self, source: Source, tree: Tree) -> Block | None:
        """The tree's last block, which must say the same; None if there is none, or if it is gone by retention."""
        if tree.last_block < 0:
            return None
        ledger = Source(self.ledger, source.partition)
        record = await self.reader.at(Position(*ledger, tree.last_block))
        if record is None:
            if (await self.reader.extent(ledger)).low <= tree.last_block:
                raise self._refusal(source, f"the ledger's block at {ledger}/{tree.last_block} is not there")
            return None
        block = _block(record.values[0])
        if block is None or block.new_size != tree.size or block.root != tree.root():
            raise self._refusal(
                source, f"the committed tree of {tree.size} leaves differs from the ledger's block at {ledger}/{tree.last_block}"
            )
        return block

    async def _recorded(self, source: Source, extent: Extent) -> Start:
        """Nothing is committed: scan the ledger for the tree, else begin one."""
        empty = Tree.empty(self.log_name, self.flow, source, extent.topic_id)
        last = await last_block(self.reader, Source(self.ledger, source.partition), empty.origin)
        if last is None:
            return Start(extent.high if source.topic == self.latest else extent.low, empty, fresh=True)
        offset, block = last
        if block.topic_id != extent.topic_id:  # a tree that begins again would be signed a second time at the same sizes
            raise self._made_again(source, extent, block.topic_id)
        return Start(block.next, block.tree(offset), fresh=True)

    def _check(self, source: Source, start: Start, extent: Extent) -> None:
        if start.offset < extent.low:
            raise self._refusal(source, f"offsets {start.offset} to {extent.low - 1} were deleted before Weft read them")
        if start.offset > extent.high:
            raise self._refusal(source, f"its end is at offset {extent.high}, before the committed {start.offset}: records are gone")

    def _made_again(self, source: Source, extent: Extent, known: str) -> FatalError:
        return self._refusal(source, f"its topic was deleted and made again (id {extent.topic_id}, the ledger knows {known})")

    def _refusal(self, source: Source, what: str) -> FatalError:
        return FatalError(
            f"{source} can't be continued: {what}", f"look into it; to go on and record the gap: weft flow accept-gap {self.flow} {source}"
        )


async def first_record(reader: Reader, source: Source, start: int) -> int | None:
    """The offset of the first committed record from `start` on."""
    async for records in reader.read(source, start):
        if len(records):
            return int(records.offsets[0])
    return None


async def last_block(reader: Reader, ledger: Source, origin: str) -> tuple[int, Block] | None:
    """The tree's last block in the ledger's partition, and its offset. Records that Weft did not write are passed over."""
    last = None
    async for records in reader.read(ledger):
        for offset, value in zip(records.offsets.tolist(), records.values, strict=True):
            block = _block(value)
            if block is not None and block.origin == origin:
                last = offset, block
    return last


def _block(value: bytes | None) -> Block | None:
    try:
        return unpack(value or b"")
    except ValueError:
        return None
