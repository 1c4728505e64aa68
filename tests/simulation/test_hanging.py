"""A broker that loses the markers of an aborted transaction: the slot that comes back refuses to start, so that no event ends twice."""

import asyncio
from collections import Counter

import pytest

from connectors.log import Outgoing
from connectors.memory.log import MemoryLog
from connectors.memory.partition import Transaction
from schemas.errors import FatalError
from tests.simulation.small import World, running, small_flow, until


async def died(world: World) -> Transaction:
    """A worker dies with the outcomes of its batch written and not committed, and the broker loses the markers; what hangs."""
    log = MemoryLog(world.broker, "f", "f-0")
    lane = world.lane(small_flow(), log=log)
    await lane.start()
    task = asyncio.create_task(lane.run())
    await until(lane.idle)
    log.fail_next("commit", FatalError("killed"))
    await world.send(range(100, 130))
    await asyncio.wait([task], timeout=10)
    assert isinstance(task.exception(), ExceptionGroup)
    log.kill()
    return world.broker.lose_markers("f-0")


def results(world: World) -> Counter[str]:
    """Result records by event, as `read_committed` readers get them once nothing is open any more."""
    entries = [entry for part in world.broker.topic("out").partitions for entry in part.entries if entry.visible]
    return Counter(dict(entry.headers)["ce_weftposition"].decode() for entry in entries)  # type: ignore[union-attr]


async def test_a_slot_whose_transaction_hangs_does_not_start_and_no_event_ends_twice() -> None:
    world = World()
    hanging = await died(world)
    lane = world.lane(small_flow(), hanging_s=0.3)
    await lane.start()
    with pytest.raises(ExceptionGroup) as refused:
        await asyncio.wait_for(lane.run(), 10)
    assert refused.group_contains(FatalError, match="KAFKA-20734")
    assert not results(world)
    for part in hanging.partitions:  # what kafka-transactions.sh abort does
        part.end(hanging)
    async with running(world.lane(small_flow())) as lane:
        await until(lane.idle)
    assert len(results(world)) == 30
    assert set(results(world).values()) == {1}
    assert set((await world.terminal()).values()) == {1}


async def test_a_slot_starts_beside_one_that_is_in_the_middle_of_a_transaction() -> None:
    world = World()
    other = MemoryLog(world.broker, "g", "f-1")
    other._epoch = world.broker.init_producer("f-1")
    await world.send([20])
    await other.begin()
    other.produce(Outgoing("out", [b"k"], [b"of another flow"], partition=0))
    async with running(world.lane(small_flow())) as lane:
        await asyncio.sleep(0.2)
        assert not lane.idle()
        await other.commit([])
        await until(lane.idle)
    assert set((await world.terminal()).values()) == {1}
