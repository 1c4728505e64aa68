"""The highest generation that was started for each redriven event, so that of two redrives at once only one counts."""

from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, field

from connectors.log import Outgoing, Reader
from schemas.positions import Position, Source


@dataclass(slots=True)
class _Partition:
    read: bool = False
    settled: dict[Position, int] = field(default_factory=dict)
    started: dict[Position, int] = field(default_factory=dict)  # by batches in flight


class Redrives:
    """Generations by root position, kept in the compacted topic `<flow>.generations`: key root position, value generation in decimal."""

    def __init__(self, reader: Reader, topic: str) -> None:
        self._reader = reader
        self._topic = topic
        self._partitions: dict[int, _Partition] = defaultdict(_Partition)

    async def read(self, partition: int) -> None:
        """Read the partition once after it was assigned."""
        mine = self._partitions[partition]
        if mine.read:
            return
        async for records in self._reader.read(Source(self._topic, partition)):
            for key, value in zip(records.keys, records.values, strict=True):
                with suppress(ValueError):  # somebody else's record must not end the lane
                    root = Position.parse((key or b"").decode())
                    if value is None:
                        mine.settled.pop(root, None)
                    else:
                        mine.settled[root] = int(value)
        mine.read = True

    def next(self, partition: int, root: Position) -> int:
        """The only generation that may start now."""
        mine = self._partitions[partition]
        return max(mine.settled.get(root, 0), mine.started.get(root, 0)) + 1

    def start(self, partition: int, root: Position, generation: int) -> Outgoing:
        """A batch in flight starts it; the record to write in its transaction."""
        self._partitions[partition].started[root] = generation
        return Outgoing(self._topic, [str(root).encode()], [str(generation).encode()], partition=partition)

    def settled(self, partition: int, root: Position, generation: int) -> None:
        """The batch has committed."""
        self._partitions[partition].settled[root] = generation

    def dropped(self) -> None:
        """No batch is in flight any more."""
        for mine in self._partitions.values():
            mine.started.clear()

    def forget(self, partition: int) -> None:
        """The partition went to another owner."""
        self._partitions.pop(partition, None)
