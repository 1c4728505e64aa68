"""How far a lane is behind, by partition: offsets up to the end, and the age of the oldest record that is not settled."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from typing import NamedTuple

from connectors.log import Log, Reader
from schemas.errors import WeftError
from schemas.positions import Source
from streams.clock import Clock

LOOK_S = 5.0


class Standing(NamedTuple):
    """Where a partition of a lane stands, as the lane itself knows."""

    next: int  # offset behind the last settled record
    ended: bool  # it was read to its end, and nothing of it is in flight
    oldest_ms: int | None  # time stamp of the oldest record in flight; None if none is


class Behind(NamedTuple):
    """How far it is behind now."""

    records: int
    age_s: float


class Lagging:
    """Asks the broker where partitions end, now and then; only about those that the lane has not read to their end."""

    def __init__(self, reader: Reader, log: Log, standing: Callable[[], Mapping[Source, Standing]], clock: Clock) -> None:
        self._reader, self._log, self._standing, self._clock = reader, log, standing, clock
        self._ends: dict[Source, int] = {}
        self._oldest: dict[
            Source, tuple[int, int | None]
        ] = {}  # of partitions with nothing in flight: next, time stamp of the record there

    async def run(self) -> None:
        """Look, until cancelled. What can't be asked now stays as it was."""
        while True:
            with suppress(WeftError):
                await self.look()
            await self._clock.sleep(LOOK_S)

    async def look(self) -> None:
        """Once."""
        behind = {source: one for source, one in self._standing().items() if not one.ended}
        ends = await self._log.ends(sorted({source.topic for source in behind})) if behind else {}
        self._ends = {source: ends[source].high for source in behind if source in ends}
        known = self._oldest
        self._oldest = {}
        for source, one in behind.items():
            if one.oldest_ms is None:
                before = known.get(source, (-1, None))
                same = before[0] == one.next and before[1] is not None
                self._oldest[source] = before if same else (one.next, await self._first_ms(source, one.next))

    def now(self) -> Sequence[tuple[Source, Behind]]:
        """By partition; asks nobody."""
        now_ms = self._clock.now_ms()
        return [(source, self._behind(source, one, now_ms)) for source, one in sorted(self._standing().items())]

    def _behind(self, source: Source, one: Standing, now_ms: int) -> Behind:
        looked_at, found_ms = self._oldest.get(source, (-1, None))
        oldest_ms = one.oldest_ms or (found_ms if looked_at == one.next else None)
        if one.ended or (oldest_ms is None and looked_at == one.next):  # only markers of transactions are left
            return Behind(0, 0.0)
        return Behind(max(0, self._ends.get(source, 0) - one.next), 0.0 if oldest_ms is None else max(0, now_ms - oldest_ms) / 1000)

    async def _first_ms(self, source: Source, offset: int) -> int | None:
        """The time stamp of the first record from there on; None where there are only markers of transactions."""
        async with aclosing(self._reader.read(source, offset)) as found:  # type: ignore[type-var]  # it is a generator
            async for records in found:
                stamp_ms = int(records.timestamps_ms[0])
                return stamp_ms if stamp_ms > 0 else self._clock.now_ms()  # it has none
        return None
