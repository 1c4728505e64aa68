"""A fetch that is on its way while everything in flight is dropped: its rows are read again, and must not be settled twice."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace

from connectors.log import Fetched
from connectors.memory.log import MemoryLog
from processors.flow.compiled import Limits
from processors.step import Batch, State, Stepped
from schemas.errors import AbortError
from schemas.positions import Source
from schemas.vocabulary import Verdict
from streams.lane import Lane
from tests.simulation.small import Ask, Count, Numbers, World, running, small_flow, until


class SlowAsk(Ask):
    """Keeps a batch in flight while the next is fetched."""

    async def run(self, batch: Batch, state: State) -> Stepped:
        await asyncio.sleep(0.05)
        return await super().run(batch, state)


class Unlucky(MemoryLog):
    """While a retry topic is being put to sleep by a fetch that also brought events, the transaction of the batch before fails."""

    lane: Lane
    hits = 0
    _events = False

    async def fetch(self, max_rows: int, max_bytes: int, wait_s: float, headers: frozenset[str] = frozenset()) -> Fetched:
        found = await super().fetch(max_rows, max_bytes, wait_s, headers)
        if {records.source.topic for records in found.records if len(records)} == {"f.retry.a"}:
            more = await super().fetch(max_rows, max_bytes, 0.2, headers)
            found = Fetched([*found.records, *more.records], found.ended | more.ended)
        self._events = any(records.source.topic == "in" for records in found.records)
        return found

    async def rewind(self, offsets: Mapping[Source, int]) -> None:
        await super().rewind(offsets)
        if not self.hits and self._events and self._in_flight() and {source.topic for source in offsets} == {"f.retry.a"}:
            self.hits += 1
            self.fail_next("flush", AbortError("no"))
            before = self._failed()
            await _at_most(lambda: self._failed() > before, 0.5)

    def _in_flight(self) -> bool:
        return len(self.lane._flight) > 0

    def _failed(self) -> int:
        return self.lane._failing_since_ms or 0


async def _at_most(condition: Callable[[], bool], seconds: float) -> None:
    for _ in range(int(seconds / 0.005)):
        if condition():
            return
        await asyncio.sleep(0.005)


async def test_rows_of_a_fetch_that_was_overtaken_end_once() -> None:
    world, sent = World(), 0
    ask = SlowAsk(lambda n, attempt: Verdict.RETRY if n % 100 == 7 and attempt == 0 else None)
    flow = replace(small_flow(limits=Limits(retries_s=(1.0, 2.0), review_s=60.0)), steps=(Numbers(), ask, Count()))
    log = Unlucky(world.broker, "f", "f-0")
    log.lane = world.lane(flow, log=log)
    async with running(log.lane):
        while not log.hits and sent < 2_000:
            await world.send([*range(sent, sent + 9)])
            sent += 9
            await asyncio.sleep(0.01)
        assert log.hits
        await until(log.lane.idle)
    terminal = await world.terminal()
    assert len(terminal) == sent
    assert set(terminal.values()) == {1}
