"""With `order: key` a row that came back from a person or a redrive has left the order of its key: it waits beside it, as any row may."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace

from connectors.log import Outgoing
from connectors.memory.publisher import MemoryPublisher
from processors.flow.compiled import Flow
from schemas import decision, pending
from schemas.decision import Action, Decision
from schemas.vocabulary import Verdict
from tests.simulation.small import Ask, Count, Numbers, World, running, small_flow, until
from tests.unit.test_hostile_resume import REDRIVE

Decide = Callable[[int, int], Verdict | None]


def by_key(asks: Decide, answers: Decide) -> Flow:
    """numbers -> ask a person -> ask a model -> count, in the order of keys."""
    flow = small_flow(order="key")
    steps = (Numbers(), Ask(asks), Ask(answers, name="infer"), Count())
    return replace(flow, steps=steps, gives=(flow.gives[0], flow.gives[1], {}, {}))


async def approved(world: World) -> None:
    """A person approves the one open review."""
    (records,) = [part for part in await world.records("f.reviews") if len(part)]
    review = (records.keys[0] or b"").decode()
    value = decision.encode(Decision(review, Action.APPROVE, "ann", "because", 0))
    await MemoryPublisher(world.broker).publish(Outgoing("f.resume", [review.encode()], [value], partition=records.source.partition))


async def passes(world: World, event: str) -> list[str]:
    """The verdicts of an event's passes, in order."""
    mine = [leaf for leaf in await world.leaves() if leaf.event_id == event]
    return [leaf.verdict for leaf in sorted(mine, key=lambda leaf: (leaf.generation, leaf.number))]


async def test_an_approved_row_that_must_be_tried_again_waits_and_holds_up_nobody() -> None:
    world = World()
    flow = by_key(lambda n, _: Verdict.REVIEW if n == 20 else None, lambda n, attempt: Verdict.RETRY if n == 20 and attempt < 2 else None)
    await world.send(range(20, 50))
    async with running(world.lane(flow)) as lane:
        await until(lane.idle)
        await approved(world)
        await world.send(range(50, 80))
        await asyncio.sleep(0.1)
        await until(lane.idle)
    assert await passes(world, "e20") == ["review", "retry", "retry", "result"]
    assert sorted(json.loads(value or b"")["n"] for value in await world.values("out")) == list(range(20, 80))
    assert set((await world.terminal()).values()) == {1}


async def test_an_approved_row_that_is_never_answered_for_ends_when_its_retries_are_used_up() -> None:
    world = World()
    flow = by_key(lambda n, _: Verdict.REVIEW, lambda n, _: Verdict.RETRY)
    await world.send([20])
    async with running(world.lane(flow)) as lane:
        await until(lane.idle)
        await approved(world)
        await asyncio.sleep(0.1)
        await until(lane.idle)
    assert await passes(world, "e20") == ["review", "retry", "retry", "dead-letter"]


async def test_a_redriven_row_that_must_be_tried_again_waits() -> None:
    world = World()
    flow = by_key(lambda n, _: None, lambda n, attempt: Verdict.RETRY if attempt < 1 else None)
    await world.send(["no number"])
    async with running(world.lane(flow)) as lane:
        await until(lane.idle)
        redrive = pending.encode(REDRIVE)  # of in/0/0, with a number in its place
        await MemoryPublisher(world.broker).publish(Outgoing("f.resume", [b"k"], [redrive], [[]], partition=0))
        await asyncio.sleep(0.1)
        await until(lane.idle)
    assert [(leaf.generation, leaf.verdict) for leaf in sorted(await world.leaves(), key=lambda leaf: (leaf.generation, leaf.number))] == [
        (0, "dead-letter"),
        (1, "retry"),
        (1, "result"),
    ]
