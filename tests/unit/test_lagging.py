"""How far a lane is behind: records up to the end, and the age of the oldest one that is not settled."""

import asyncio

from schemas.positions import Source
from streams.lagging import Behind
from tests.simulation.small import World, running, small_flow, until


async def test_a_lane_that_stands_still_is_behind_and_its_oldest_record_grows_older() -> None:
    world = World()
    async with running(world.lane(small_flow())) as lane:
        await until(lane.idle)
        lagging = lane.lagging()
        lane.pause("a test")
        await asyncio.sleep(0.1)
        await world.send(range(7))  # 3, 2, 2
        await asyncio.sleep(0.1)
        await lagging.look()
        first = dict(lagging.now())
        await asyncio.sleep(0.05)
        later = dict(lagging.now())
        lane.resume("a test")
        await until(lambda: sum(status["verdicts"].values()) == 7 if (status := lane.status()) else False)  # type: ignore[attr-defined]
        await until(lane.idle)
        await lagging.look()
        done = dict(lagging.now())
    behind = {source: one.records for source, one in first.items() if one.records}
    assert behind == {Source("in", 0): 3, Source("in", 1): 2, Source("in", 2): 2}
    for source in behind:
        assert 0.05 < first[source].age_s < later[source].age_s < 5
    assert set(done.values()) == {Behind(0, 0.0)}


async def test_a_record_in_flight_has_its_own_time() -> None:
    world = World()
    lane = world.lane(small_flow())
    async with running(lane):
        await until(lane.idle)
        async with lane._ownership.lock:  # nothing can be settled
            await world.send([1])
            await until(lambda: len(lane._flight) == 1)
            await asyncio.sleep(0.05)
            (age_s,) = [one.age_s for source, one in lane.lagging().now() if source == Source("in", 0)]
    assert 0.05 <= age_s < 5
