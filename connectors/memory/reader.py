"""The reader port in memory."""

from collections.abc import AsyncIterator, Mapping

from connectors.log import Ends, Extent, Records
from connectors.memory.broker import MemoryBroker
from connectors.memory.partition import as_records
from schemas.positions import Position, Source

_ROWS = 5_000
_BYTES = 16_000_000


class MemoryReader:
    """A `Reader` on a `MemoryBroker`."""

    def __init__(self, broker: MemoryBroker) -> None:
        self._broker = broker

    async def extent(self, source: Source) -> Extent:
        """See Reader."""
        part = self._broker.partition(source)
        return Extent(part.low, part.stable, self._broker.topic(source.topic).topic_id)

    async def partitions(self, topic: str) -> int:
        """See Reader."""
        return len(self._broker.topic(topic).partitions)

    async def ends(self, topic: str) -> Mapping[Source, Ends]:
        """See Reader."""
        return {part.source: Ends(part.stable, part.high) for part in self._broker.topic(topic).partitions}

    async def read(self, source: Source, start: int = 0) -> AsyncIterator[Records]:
        """See Reader."""
        part = self._broker.partition(source)
        end, at = part.stable, max(start, part.low)
        while at < end:
            entries, at = part.scan(at, _ROWS, _BYTES)
            entries = [entry for entry in entries if entry.offset < end]
            if entries:
                yield as_records(source, entries, headers=True)

    async def at(self, position: Position) -> Records | None:
        """See Reader."""
        entries, _ = self._broker.partition(position.source).scan(position.offset, 1, _BYTES)
        if not entries or entries[0].offset != position.offset:
            return None
        return as_records(position.source, entries, headers=True)

    async def close(self) -> None:
        """See Reader."""
