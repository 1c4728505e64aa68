"""The highest generation that was started for each redriven event, so that of two redrives at once only one counts.

It is forgotten, in the transaction of a later redrive, once no dead letter is left from which the event could be redriven again. So the
topic grows with the redrives of what the dead letters hold, and no further.
"""

from collections import defaultdict
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from connectors.log import Outgoing, Reader
from processors.flow.compiled import Flow
from schemas.positions import Position, Source

DAY_MS: Final = 86_400_000
LOOK_MS: Final = 3_600_000
"""Between looks at the oldest dead letter."""
FORGOTTEN: Final = 0
"""The generation that a tombstone stands for."""


class _Settled(NamedTuple):
    generation: int
    at_ms: int


@dataclass(slots=True)
class _Partition:
    read: bool = False
    settled: dict[Position, _Settled] = field(default_factory=dict)
    started: dict[Position, int] = field(default_factory=dict)  # by batches in flight
    looked_ms: int = 0
    bereft: set[Position] = field(default_factory=set)  # of letters, when that was last looked at


class Redrives:
    """Generations by root position, kept in the compacted topic `<flow>.generations`: key root position, value generation in decimal."""

    def __init__(self, reader: Reader, flow: Flow) -> None:
        self._reader = reader
        self._topic, self._letters, self._resume = flow.topics.generations, flow.topics.dead_letters, flow.topics.resume
        self._kept_ms = DAY_MS + int((flow.limits.deadline_s + flow.limits.review_s) * 1000)  # until its last letter was written
        self._partitions: dict[int, _Partition] = defaultdict(_Partition)

    async def read(self, partition: int) -> None:
        """Read the partition once after it was assigned."""
        mine = self._partitions[partition]
        if mine.read:
            return
        async for records in self._reader.read(Source(self._topic, partition)):
            for at_ms, key, value in zip(records.timestamps_ms.tolist(), records.keys, records.values, strict=True):
                with suppress(ValueError):  # somebody else's record must not end the lane
                    root = Position.parse((key or b"").decode())
                    if value is None:
                        mine.settled.pop(root, None)
                    else:
                        mine.settled[root] = _Settled(int(value), at_ms)
        mine.read = True

    def next(self, partition: int, root: Position) -> int:
        """The only generation that may start now."""
        mine = self._partitions[partition]
        settled = mine.settled[root].generation if root in mine.settled else 0
        return max(settled, mine.started.get(root, 0)) + 1

    def start(self, partition: int, root: Position, generation: int) -> Outgoing:
        """A batch in flight starts it; the record to write in its transaction."""
        self._partitions[partition].started[root] = generation
        return Outgoing(self._topic, [str(root).encode()], [str(generation).encode()], partition=partition)

    async def forgettable(self, partition: int, consumed: int, now_ms: int) -> list[Position]:
        """Roots that nobody can ask to redrive again; `consumed`: the end of what was consumed of the resume partition.

        Their letters must be gone, not only be due to go (Kafka deletes by segments), and for an hour: who read one has asked by now.
        No request may still wait to be consumed.
        """
        mine = self._partitions[partition]
        old = [(root, one.at_ms) for root, one in mine.settled.items() if one.at_ms + self._kept_ms < now_ms and root not in mine.started]
        if not old or mine.looked_ms + LOOK_MS > now_ms:
            return []
        mine.looked_ms = now_ms
        oldest_ms = await self._oldest_letter_ms(now_ms)
        before, mine.bereft = mine.bereft, {root for root, at_ms in old if at_ms + self._kept_ms < oldest_ms}
        waiting = (await self._reader.extent(Source(self._resume, partition))).high > consumed
        return [] if waiting else sorted(before & mine.bereft)

    async def _oldest_letter_ms(self, now_ms: int) -> int:
        """When the first dead letter that is left was written; now if there is none."""
        oldest_ms = now_ms
        for partition in range(await self._reader.partitions(self._letters)):
            async with aclosing(self._reader.read(Source(self._letters, partition))) as left:  # type: ignore[type-var]  # it is a generator
                async for records in left:
                    oldest_ms = min(oldest_ms, int(records.timestamps_ms[0]))
                    break
        return oldest_ms

    def forget(self, partition: int, root: Position) -> Outgoing:
        """A batch in flight forgets it; the tombstone to write in its transaction."""
        return Outgoing(self._topic, [str(root).encode()], [None], partition=partition)

    def settled(self, partition: int, root: Position, generation: int, now_ms: int) -> None:
        """The batch has committed."""
        mine = self._partitions[partition]
        if mine.started.get(root) == generation:
            del mine.started[root]
        if generation == FORGOTTEN:
            mine.settled.pop(root, None)
        else:
            mine.settled[root] = _Settled(generation, now_ms)

    def dropped(self) -> None:
        """No batch is in flight any more."""
        for mine in self._partitions.values():
            mine.started.clear()

    def let_go(self, partition: int) -> None:
        """The partition went to another owner."""
        self._partitions.pop(partition, None)
