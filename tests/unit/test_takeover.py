"""Where a lane starts, and what it refuses to continue, on the in-memory log."""

import asyncio
import json

import pytest

from connectors.log import Commit, Outgoing
from connectors.memory.broker import MemoryBroker
from connectors.memory.publisher import MemoryPublisher
from connectors.memory.reader import MemoryReader
from ops.audit.subject import Subject
from ops.flow.gap import find_gap
from schemas.errors import FatalError
from schemas.positions import Source
from streams.ledger.mark import Mark
from streams.ledger.tree import Tree
from streams.takeover import Takeover
from tests.simulation.small import PARTITIONS, World, running, small_flow, until


def takeover(broker: MemoryBroker, latest: str = "") -> Takeover:
    return Takeover(MemoryReader(broker), "f", "weft", "f.ledger", latest)


async def decided() -> World:
    """A world whose lane has decided some events and left."""
    world = World()
    await world.send(range(20, 29))
    async with running(world.lane(small_flow())) as lane:
        await until(lane.idle)
    return world


async def test_without_committed_offsets_the_tree_goes_on_from_the_ledger() -> None:
    world = await decided()
    start = await takeover(world.broker).start(Source("in", 0), None)
    assert (start.offset, start.tree.size, start.fresh) == (3, 3, True)


@pytest.mark.parametrize("value", [b"not a block", b"", None])
async def test_what_weft_did_not_write_in_the_ledger_is_passed_over(value: bytes | None) -> None:
    world = await decided()
    await MemoryPublisher(world.broker).publish(Outgoing("f.ledger", [b"k"], [value], [[]], partition=0))
    start = await takeover(world.broker).start(Source("in", 0), None)
    assert (start.offset, start.tree.size) == (3, 3)
    gone = Commit(Source("in", 0), 99, "")
    gap = await find_gap(MemoryReader(world.broker), Subject("f", small_flow().topics, "weft", ()), Source("in", 0), gone)
    assert (gap.tree.size, gap.first) == (3, 3)


async def test_a_topic_made_again_is_refused_also_where_the_committed_offsets_are_gone() -> None:
    world = await decided()
    world.broker.delete("in")
    world.broker.create("in", PARTITIONS)
    with pytest.raises(FatalError, match="deleted and made again") as refused:
        await takeover(world.broker).start(Source("in", 0), None)
    assert "weft flow accept-gap f in/0" in refused.value.hint


async def test_a_flow_that_starts_at_the_latest_event_leaves_older_ones_alone() -> None:
    world = World()
    await world.send([1, 2, 3, 4, 5, 6])
    async with running(world.lane(small_flow(start="latest"))) as lane:
        await until(lane.idle)
        await world.send([20, 21])
        await asyncio.sleep(0.1)
        await until(lane.idle)
    assert sorted(json.loads(value or b"")["n"] for value in await world.values("out")) == [20, 21]


async def test_what_waits_on_other_topics_is_read_from_its_beginning_though_a_flow_starts_at_the_latest_event() -> None:
    world = World()
    await world.send([1, 2, 3], topic="f.retry.a")
    assert (await takeover(world.broker, "in").start(Source("f.retry.a", 0), None)).offset == 0


async def test_an_offset_moved_by_hand_is_refused_whichever_way_and_a_mark_at_the_ledgers_end_is_not() -> None:
    world = await decided()
    await world.send([6, 9, 12])
    source = Source("in", 0)
    start = await takeover(world.broker).start(source, None)
    mark = Mark.of(start.tree).encode()
    assert (await takeover(world.broker).start(source, Commit(source, 3, mark))).offset == 3
    for moved, why in ((1, "has decided all before 3"), (4, "the record at 3 was never decided")):
        with pytest.raises(FatalError, match=why) as refused:
            await takeover(world.broker).start(source, Commit(source, moved, mark))
        assert "weft flow accept-gap f in/0" in refused.value.hint


async def test_a_mark_of_no_leaves_behind_the_first_record_is_refused_unless_the_flow_begins_at_the_latest_event() -> None:
    world = World()
    await world.send(range(20, 29))
    source, extent = Source("in", 0), await MemoryReader(world.broker).extent(Source("in", 0))
    mark = Mark.of(Tree.empty("weft", "f", source, extent.topic_id)).encode()
    with pytest.raises(FatalError, match="the record at 0 was never decided"):
        await takeover(world.broker).start(source, Commit(source, 2, mark))
    assert (await takeover(world.broker).start(source, Commit(source, 0, mark))).offset == 0
    assert (await takeover(world.broker, "in").start(source, Commit(source, 2, mark))).offset == 2
