"""Reads a flow's ledger on while the flow runs: how far it is, the alerts by month of event time, the leaves of some positions."""

import asyncio
import json
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from connectors.log import Reader
from ops.audit.find import blocks, readable
from processors.flow.compiled import Topics
from schemas.positions import Position, Source
from streams.ledger.block import Block
from streams.ledger.leaf import Leaf, decode


class Alert(NamedTuple):
    """One window of one column that differs from the reference."""

    month: str  # of event time, as 2013-02
    column: str
    psi: float


class Tail:
    """What the ledger says so far."""

    def __init__(self, reader: Reader, topics: Topics, time: str, watched: Iterable[Position]) -> None:
        """`time` is the column of event time; the leaves of `watched` are kept."""
        self._reader, self._topics, self._time, self._watched = reader, topics, time, set(watched)
        self._next: dict[int, int] = defaultdict(int)  # offset of the ledger, by partition
        self._done: dict[Source, int] = {}
        self.alerts: list[Alert] = []
        self.leaves: dict[Position, Leaf] = {}
        self.first_ms = self.last_ms = 0  # when the first and the last block were written

    @property
    def done(self) -> int:
        """Records of the input that have a leaf."""
        return sum(offset for source, offset in self._done.items() if source.topic == self._topics.input)

    async def read(self) -> None:
        """Read what is new."""
        count = await self._reader.partitions(self._topics.ledger)
        await asyncio.gather(*(self._partition(partition) for partition in range(count)))

    async def _partition(self, partition: int) -> None:
        async for place, written_ms, block in blocks(self._reader, Source(self._topics.ledger, partition), self._next[partition]):
            self._next[partition] = place.offset + 1
            self._done[block.source] = block.next
            self.first_ms = min(self.first_ms or written_ms, written_ms)
            self.last_ms = max(self.last_ms, written_ms)
            self.alerts += self._alerts(block)
            wanted = {one for one in self._watched if one.source == block.source and block.first <= one.offset < block.next}
            if wanted:
                self.leaves |= {leaf.position: leaf for leaf in map(decode, block.leaves()) if leaf.position in wanted}

    def _alerts(self, block: Block) -> list[Alert]:
        told = [one for one in json.loads(block.signals) if one["kind"] == "drift"]
        month = self._month(block) if told else ""
        return [Alert(month, one["column"], one["figures"]["psi"]) for one in told]

    def _month(self, block: Block) -> str:
        """That of the row in the middle of the block."""
        details = block.details()
        middle = len(details) // 2
        for one in (*details[middle:], *details[:middle]):
            moment = (readable(one, block.details_schema) or {}).get(self._time)
            if isinstance(moment, datetime):
                return f"{moment:%Y-%m}"
        return "?"
