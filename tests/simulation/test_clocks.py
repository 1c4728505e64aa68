"""Clocks that are wrong, or jump: every event still ends once, and none waits for as long as a clock was set back."""

import asyncio

from processors.flow.compiled import Limits
from schemas.vocabulary import Verdict
from streams.clock import SystemClock
from tests.simulation.small import World, running, small_flow, until
from tests.simulation.test_returned import approved, passes

HOUR_MS = 3_600_000


class Jumping(SystemClock):
    """The system's, and so much ahead."""

    ahead_ms = 0

    def now_ms(self) -> int:
        return super().now_ms() + self.ahead_ms


class Ahead(Jumping):
    """An hour ahead."""

    ahead_ms = HOUR_MS


async def test_a_row_that_a_worker_with_a_fast_clock_parked_goes_on_where_the_clock_is_right() -> None:
    world, flow = World(clock=Ahead()), small_flow(lambda n, attempt: Verdict.RETRY if attempt < 1 else None)
    await world.send([20, 21, 22])
    async with running(world.lane(flow)) as lane:
        await until(lambda: lane.status()["verdicts"] == {"retry": 3})
    world.clock = SystemClock()
    async with running(world.lane(flow)) as lane:
        await until(lane.idle)
    assert [await passes(world, f"e{n}") for n in (20, 21, 22)] == [["retry", "result"]] * 3


async def test_an_open_review_of_a_worker_with_a_fast_clock_can_be_decided_where_the_clock_is_right() -> None:
    world, flow = World(clock=Ahead()), small_flow(lambda n, _: Verdict.REVIEW)
    await world.send([20])
    async with running(world.lane(flow)) as lane:
        await until(lane.idle)
    world.clock = SystemClock()
    async with running(world.lane(flow)) as lane:
        await until(lane.idle)
        await approved(world)
        await asyncio.sleep(0.1)
        await until(lane.idle)
    assert await passes(world, "e20") == ["review", "result"]


async def test_a_partition_that_waits_in_place_goes_on_though_the_clock_was_set_back() -> None:
    clock = Jumping()
    world = World(clock=clock)
    flow = small_flow(lambda n, attempt: Verdict.RETRY if n == 20 and attempt < 2 else None, order="key")
    await world.send([20, 21, 22, 23])
    async with running(world.lane(flow)) as lane:
        await until(lambda: bool(lane.status()["asleep"]))
        clock.ahead_ms = -HOUR_MS
        await until(lane.idle)
    assert await passes(world, "e20") == ["result"]
    assert set((await world.terminal()).values()) == {1}


async def test_a_retry_topic_wakes_up_though_the_clock_was_set_back() -> None:
    clock = Jumping()
    world, flow = World(clock=clock), small_flow(lambda n, attempt: Verdict.RETRY if attempt < 1 else None)
    await world.send([20])
    async with running(world.lane(flow)) as lane:
        await until(lambda: bool(lane.status()["asleep"]))
        clock.ahead_ms = -HOUR_MS
        await until(lane.idle)
    assert await passes(world, "e20") == ["retry", "result"]


async def test_a_deadline_that_a_clock_asked_for_too_early_is_asked_for_again_when_it_comes() -> None:
    clock = Jumping()
    world = World(clock=clock)
    flow = small_flow(lambda n, _: Verdict.REVIEW, limits=Limits(review_s=1.0))
    await world.send([20])
    async with running(world.lane(flow)) as lane:
        await until(lane.idle)
        lane.pause("nothing is read")
        await asyncio.sleep(0.1)
        clock.ahead_ms = HOUR_MS
        while not await world.values("f.resume"):
            await asyncio.sleep(0.01)
        clock.ahead_ms = 0
        lane.resume("nothing is read")
        await until(lambda: not lane.status()["reviews_open"])
    assert await passes(world, "e20") == ["review", "superseded", "dead-letter"]
