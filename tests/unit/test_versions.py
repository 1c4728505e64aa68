"""Rows that wait while a new version is applied end under the version that they began with, by its limits."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

from connectors.log import Outgoing
from connectors.memory.publisher import MemoryPublisher
from processors.flow import spec
from processors.flow.compiled import Flow, Limits
from processors.step import Batch, State, Stepped
from schemas import decision
from schemas.decision import Action, Decision
from schemas.vocabulary import Verdict
from streams.ledger.leaf import Leaf
from tests.simulation.small import Ask, World, running, small_flow, until

Decide = Callable[[int, int], Verdict | None]


def _twice(n: int, attempt: int) -> Verdict | None:
    return Verdict.RETRY if attempt < 2 else None


def _first(decide: Decide, limits: Limits) -> Flow:
    return small_flow(decide, limits=limits)


def _second(first: Flow, limits: Limits, retries: tuple[str, ...] = ("f.retry.a",)) -> Flow:
    return replace(first, version="2.0.0", topics=replace(first.topics, retries=retries), limits=limits)


async def _parked(world: World, flow: Flow, topic: str, numbers: int = 3) -> None:
    """The flow ran until that many rows wait."""
    await world.send(range(1, numbers + 1))
    async with running(world.lane(flow)):
        async with asyncio.timeout(8):
            while len(await world.values(topic)) < numbers:
                await asyncio.sleep(0.01)


async def _ended(world: World) -> list[Leaf]:
    return [leaf for leaf in await world.leaves() if Verdict(leaf.verdict).terminal]


async def test_rows_that_wait_longer_than_the_new_version_would_let_them_end_under_the_old_one() -> None:
    world, long = World(), Limits(retries_s=(0.05, 0.5), review_s=60.0)
    first = _first(_twice, long)
    await _parked(world, first, "f.retry.b")
    second = _second(first, replace(long, retries_s=(0.05,)))
    async with running(world.lane(second, before=[first])) as lane:
        await until(lambda: bool(lane.status()["asleep"]))
        assert not lane.idle()
        await until(lane.idle)
    assert [(leaf.flow, leaf.verdict) for leaf in await _ended(world)] == [("f@1.0.0", "result")] * 3


async def test_rows_of_a_version_that_can_not_be_compiled_any_more_end_with_the_reason() -> None:
    world, long = World(), Limits(retries_s=(0.05, 0.5), review_s=60.0)
    first = _first(_twice, long)
    await _parked(world, first, "f.retry.b")
    second = _second(first, replace(long, retries_s=(0.05,)))
    async with running(world.lane(second, gone=[first.topics])) as lane:
        await until(lane.idle)
    assert [(leaf.verdict, leaf.reason) for leaf in await _ended(world)] == [("dead-letter", "unknown-flow")] * 3


async def test_the_deadline_ends_no_event_while_its_steps_run_as_its_words_say() -> None:
    class Slow(Ask):
        async def run(self, batch: Batch, state: State) -> Stepped:
            await asyncio.sleep(0.1)
            return await super().run(batch, state)

    world, flow = World(), small_flow(limits=Limits(deadline_s=0.02, retries_s=(0.01,), review_s=60.0))
    await world.send([1, 2, 3])
    numbers, _, count = flow.steps
    async with running(world.lane(replace(flow, steps=(numbers, Slow(lambda n, attempt: None), count)))) as lane:
        await until(lane.idle)
    assert [leaf.verdict for leaf in await _ended(world)] == ["result"] * 3
    assert "not while its steps run" in (spec.Limits.model_fields["deadline"].description or "")


async def test_a_retry_comes_back_within_the_deadline_of_its_own_version() -> None:
    world = World()
    first = _first(_twice, Limits(deadline_s=60.0, retries_s=(0.05, 0.1), review_s=60.0))
    await _parked(world, first, "f.retry.b")
    second = _second(first, Limits(deadline_s=0.01, retries_s=(), review_s=60.0), ())
    async with running(world.lane(second, before=[first])) as lane:
        await until(lane.idle)
    assert [leaf.verdict for leaf in await _ended(world)] == ["result"] * 3


async def test_the_time_that_a_person_took_is_counted_by_the_review_limit_of_the_row_s_own_version() -> None:
    world = World()

    first = _first(lambda n, attempt: Verdict.REVIEW, Limits(deadline_s=1.0, retries_s=(0.05, 0.1), review_s=60.0))
    first = replace(
        first, steps=(*first.steps, Ask(lambda n, attempt: None if attempt else Verdict.RETRY, "busy")), gives=(*first.gives, {})
    )
    await _parked(world, first, "f.reviews", 1)
    await asyncio.sleep(1.2)  # longer than the deadline, which stands still meanwhile
    second = _second(first, replace(first.limits, review_s=1.0), first.topics.retries)
    (part,) = [part for part in await world.records("f.reviews") if len(part)]
    review = (part.keys[0] or b"").decode()
    said = decision.encode(Decision(review, Action.APPROVE, "a person", "fine", 0, {"rule": "asked"}))
    await MemoryPublisher(world.broker).publish(Outgoing("f.resume", [review.encode()], [said], partition=part.source.partition))
    async with running(world.lane(second, before=[first])) as lane:
        await until(lambda: sum(lane.status()["verdicts"].values()) == 2)  # type: ignore[attr-defined]
    assert [(leaf.flow, leaf.verdict) for leaf in await _ended(world)] == [("f@1.0.0", "result")]
