"""What is a row's fault and ends as its dead letter, and what is not: a port that refuses, a setting that is wrong."""

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from connectors.memory.lookup import MemoryLookup
from processors.flow.compiled import Flow
from processors.step import Batch, Leave, State, Step, Stepped
from schemas.errors import FailedError, UsageError, WeftError
from schemas.vocabulary import Reason, Verdict
from tests.simulation.small import PARTITIONS, Count, Numbers, World, running, small_flow, until


@dataclass
class Asking:
    """Asks a lookup about every batch."""

    lookup: MemoryLookup = field(default_factory=MemoryLookup)
    name: str = "ask"
    stateful: bool = False
    calls: int = 0

    async def run(self, batch: Batch, state: State) -> Stepped:
        self.calls += 1
        await self.lookup.mget(["a"])
        return Stepped(batch, (), state)


@dataclass
class Raising:
    """A port or a setting is wrong."""

    error: WeftError
    name: str = "ask"
    stateful: bool = False

    async def run(self, batch: Batch, state: State) -> Stepped:
        raise self.error


@dataclass
class Careless:
    """Does with the batch what a step must not do, where 25 is in it."""

    spoil: Callable[[Batch, int], Stepped]
    name: str = "careless"
    stateful: bool = False

    async def run(self, batch: Batch, state: State) -> Stepped:
        numbers = batch.columns.column("n").to_pylist()
        return replace(self.spoil(batch, numbers.index(25)), state=state) if 25 in numbers else Stepped(batch, (), state)


def through(step: Step) -> Flow:
    """numbers -> step -> count."""
    return replace(small_flow(), steps=(Numbers(), step, Count()))


async def test_a_port_that_refuses_makes_the_lane_wait_and_once_mended_nothing_is_lost() -> None:
    world, asking = World(), Asking()
    asking.lookup.refuses = "OOM command not allowed"
    async with running(world.lane(through(asking))) as lane:
        await world.send(range(20, 50))
        await until(lambda: asking.calls > 5)
        assert not await world.leaves()
        asking.lookup.refuses = ""
        await until(lane.idle)
    assert len(await world.values("out")) == 30
    assert not await world.values("f.dead")


@pytest.mark.parametrize("error", [UsageError("there is no model `late`"), FailedError("the port is odd")])
async def test_what_is_wrong_with_a_port_or_setting_ends_the_lane_with_its_sentence_and_no_row(error: WeftError) -> None:
    world = World()
    lane = world.lane(through(Raising(error)))
    await lane.start()
    task = asyncio.create_task(lane.run())
    await world.send(range(20, 50))
    with pytest.raises(ExceptionGroup) as raised:
        await asyncio.wait_for(task, 10)
    assert raised.group_contains(type(error), match=error.sentence)
    assert not await world.leaves()
    assert not await world.values("f.dead")


def forgets(batch: Batch, at: int) -> Stepped:
    return Stepped(batch.without(np.array([at])))


def forgets_one_and_doubles_another(batch: Batch, at: int) -> Stepped:
    rows = np.arange(len(batch))
    rows[at] = rows[at - 1]
    return Stepped(batch.take(rows) if len(batch) > 1 else batch.without(rows))


def keeps_what_leaves(batch: Batch, at: int) -> Stepped:
    gone = np.array([at])
    kept = batch if len(batch) == 1 else batch.without(np.array([at - 1 if at else at + 1]))
    return Stepped(kept, (Leave(gone, Verdict.FILTERED, Reason.FILTER, "x", "gone"),))


def leaves_with_too_few_columns(batch: Batch, at: int) -> Stepped:
    gone = np.array([at])
    return Stepped(batch.without(gone), (Leave(gone, Verdict.REVIEW, Reason.POLICY, "x", "y", columns=batch.columns.slice(0, 0)),))


@pytest.mark.parametrize("spoil", [forgets, forgets_one_and_doubles_another, keeps_what_leaves, leaves_with_too_few_columns])
async def test_a_step_that_loses_or_doubles_a_row_breaks_on_that_row_alone(spoil: Callable[[Batch, int], Stepped]) -> None:
    world = World()
    await world.send(range(20, 50))
    async with running(world.lane(through(Careless(spoil)))) as lane:
        await until(lane.idle)
    assert sorted(json.loads(value or b"")["n"] for value in await world.values("out")) == [n for n in range(20, 50) if n != 25]
    assert await world.values("f.dead") == [b"25"]
    assert Counter(leaf.reason for leaf in await world.leaves()) == {"": 29, Reason.STEP_FAILED: 1}


async def test_a_step_that_changes_the_order_has_it_mended() -> None:
    world = World()
    await world.send(range(20, 50))
    reverses = Careless(lambda batch, at: Stepped(batch.take(np.arange(len(batch))[::-1])))
    async with running(world.lane(through(reverses))) as lane:
        await until(lane.idle)
    for part in await world.records("out"):
        numbers = [json.loads(value or b"")["n"] for value in part.values]
        for came in range(PARTITIONS):
            of_one = [n for n in numbers if (n - 20) % PARTITIONS == came]
            assert of_one == sorted(of_one)
    assert len(await world.values("out")) == 30
