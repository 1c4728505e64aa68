"""The consumed records beside their leaves: a merge of two streams in offset order, so that memory stays flat."""

from array import array
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from connectors.log import Reader, Records
from ops.audit.report import Law, Report
from ops.audit.rows import INPUT, OWN, ROOT, Row
from schemas.errors import UnreadableError
from schemas.positions import Source
from streams.ledger.block import Block
from streams.ledger.leaf import digest, digests

Offsets = npt.NDArray[np.int64]

_UNDECIDED: Final = "The record at {} has no leaf: it was never decided."
_ANOTHER: Final = "The record at {} is not the one that was decided: its key or value differs."
_NO_RECORD: Final = "The leaf of {} has no record: the topic never had it."


class Slice:
    """Records of one source, as far as they were asked for."""

    def __init__(self, parts: Sequence[tuple[Offsets, Sequence[bytes | None], Sequence[bytes | None]]]) -> None:
        self.offsets = np.concatenate([part[0] for part in parts]) if parts else np.empty(0, np.int64)
        self.keys = [key for part in parts for key in part[1]]
        self.values = [value for part in parts for value in part[2]]


class Consumed:
    """Reads one source beside its tree."""

    def __init__(self, reader: Reader, source: Source, start: int, report: Report) -> None:
        self._reader, self._source, self._report = reader, source, report
        self.at = start  # the next offset to hand out
        self._stream: AsyncIterator[Records] | None = None
        self._held: Records | None = None
        self._topic_id = ""
        self._against: defaultdict[str, array[int]] = defaultdict(lambda: array("q"))  # offsets by what was found; a gap may explain it

    async def compare(self, block: Block, rows: Sequence[Row], offsets: Offsets) -> None:
        """Each record up to the block's end must have its leaf, and each leaf its record."""
        if block.gap is not None:
            self._give_up(block.next)
            self.at, self._stream, self._held = block.next, None, None
            return
        if await self._made_again(block.topic_id):
            self._report.counts["lost"] += len(rows)
            return
        try:
            records = await self._until(block.next)
        except UnreadableError as error:
            self._report.find(Law.RECORDS, f"{self._source}: up to offset {block.next} nothing can be compared: {error.sentence}.")
            self.at, self._stream, self._held = block.next, None, None
            return
        if np.array_equal(records.offsets, offsets):
            self._report.counts["records"] += len(rows)
            self._digests(rows, records.keys, records.values)
        else:
            await self._differ(records, rows, offsets)

    async def end(self, topic_id: str) -> None:
        """The tree ends here, with a block of the topic of that id: tell what no gap explains."""
        if await self._made_again(topic_id):
            self._report.find(
                Law.RECORDS,
                f"{self._source}: its topic was deleted and made again (id {self._topic_id}, the ledger knows {topic_id}), "
                "and nobody has accepted that its records are lost.",
            )
        for sentence, offsets in self._against.items():
            for offset in offsets:
                self._report.find(Law.RECORDS, sentence.format(f"{self._source}/{offset}"))

    def _give_up(self, start: int) -> None:
        """Somebody accepted that the records were lost from `start` on: what was found against them is no finding."""
        for sentence, offsets in self._against.items():
            kept = array("q", [offset for offset in offsets if offset < start])
            self._report.counts["lost"] += 0 if sentence is _UNDECIDED else len(offsets) - len(kept)
            self._against[sentence] = kept

    async def _made_again(self, topic_id: str) -> bool:
        """Whether a block is of a topic that was deleted since, and made again."""
        self._topic_id = self._topic_id or (await self._reader.extent(self._source)).topic_id
        return topic_id != self._topic_id

    def _digests(self, rows: Sequence[Row], keys: Sequence[bytes | None], values: Sequence[bytes | None]) -> None:
        for row, actual in zip(rows, digests(keys, values), strict=True):
            if row[INPUT] != actual and row[OWN] == row[ROOT]:  # else it holds the root record's digest: Passes compares that
                self._against[_ANOTHER].append(row[OWN][2])

    async def _differ(self, records: Slice, rows: Sequence[Row], offsets: Offsets) -> None:
        low = (await self._reader.extent(self._source)).low
        self._against[_UNDECIDED].extend(np.setdiff1d(records.offsets, offsets).tolist())
        at = {offset: index for index, offset in enumerate(records.offsets.tolist())}
        for row, offset in zip(rows, offsets.tolist(), strict=True):
            index = at.get(offset)
            if index is not None:
                self._report.counts["records"] += 1
                if row[OWN] == row[ROOT] and row[INPUT] != digest(records.keys[index], records.values[index]):
                    self._against[_ANOTHER].append(offset)
            elif offset < low:
                self._report.counts["gone"] += 1
            else:
                self._against[_NO_RECORD].append(offset)
        if low > 0:
            self._report.note(f"{self._source}: input gone below offset {low}, proven from the blocks.")

    async def _until(self, end: int) -> Slice:
        """The records before `end` that were not handed out yet."""
        parts = []
        while self.at < end:
            held = self._held or await self._more()
            if held is None:
                break
            cut = int(np.searchsorted(held.offsets, end))
            parts.append((held.offsets[:cut], held.keys[:cut], held.values[:cut]))
            if cut < len(held):
                self._held = _rest(held, cut)
                break
            self._held, self.at = None, int(held.offsets[-1]) + 1
        self.at = max(self.at, end)
        return Slice(parts)

    async def _more(self) -> Records | None:
        """The next records, also those written since the stream was opened."""
        for _ in range(2):
            if self._stream is None:
                self._stream = aiter(self._reader.read(self._source, self.at))
            async for records in self._stream:
                if len(records):
                    return records
            self._stream = None
        return None

    async def waiting(self) -> int:
        """About how many records stand behind the tree, not taken in yet; 0 if none."""
        try:
            self._held = self._held or await self._more()
            first = None if self._held is None else int(self._held.offsets[0])
        except UnreadableError as error:
            self._report.note(f"{self._source}: no worker can take in what follows: {error.sentence}; {error.hint}")
            self._stream, first = None, error.position.offset
        return 0 if first is None else (await self._reader.extent(self._source)).high - first


def _rest(records: Records, cut: int) -> Records:
    return Records(records.source, records.offsets[cut:], records.timestamps_ms[cut:], records.keys[cut:], records.values[cut:], None)
