"""The lane's laws, on the in-memory log."""

import asyncio
import json
from collections import Counter
from dataclasses import replace

import pyarrow as pa
import pytest

from connectors.log import Outgoing
from connectors.memory.log import MemoryLog
from connectors.memory.publisher import MemoryPublisher
from processors.step import Batch, State, Stepped
from schemas import decision
from schemas.decision import Action, Decision
from schemas.errors import AbortError, FatalError, OwnershipError
from schemas.positions import Source
from schemas.vocabulary import Reason, Verdict
from tests.simulation.small import PARTITIONS, Ask, Count, Numbers, World, running, small_flow, until


async def test_every_event_ends_in_one_outcome_and_one_leaf() -> None:
    world = World()
    await world.send([*range(20), "x", -5, 13])
    async with running(world.lane(small_flow())) as lane:
        await until(lane.idle)
    assert len(await world.values("out")) == 19  # 0..19 less 13, and 13 again below
    reasons = Counter(leaf.reason for leaf in await world.leaves())
    assert reasons == {"": 19, Reason.WRONG_TYPE: 1, Reason.ENCODE_FAILED: 1, Reason.STEP_FAILED: 2}
    assert set((await world.terminal()).values()) == {1}
    assert len(await world.values("f.dead")) == 4


async def test_a_failed_transaction_is_done_again_from_the_committed_offsets() -> None:
    world = World()
    flow = small_flow()
    log = MemoryLog(world.broker, "f", "f-0")
    async with running(world.lane(flow, log=log, batch_rows=10)) as lane:
        await until(lane.idle)
        for error in (AbortError("a"), OwnershipError("b"), AbortError("c")):
            log.fail_next("commit", error)
        await world.send(range(20, 80))
        await asyncio.sleep(0.1)
        await until(lane.idle)
        counts = lane._ownership.memory._adopted[flow.ident, 2]
    assert sorted(json.loads(value or b"")["n"] for value in await world.values("out")) == list(range(20, 80))
    assert set((await world.terminal()).values()) == {1}
    assert sum(counts.values()) == 60  # the state of dropped batches was not adopted


async def test_a_lane_that_never_commits_ends_itself() -> None:
    world = World()
    log = MemoryLog(world.broker, "f", "f-0")
    lane = world.lane(small_flow(), log=log, stalled_s=0.2)
    await lane.start()
    task = asyncio.create_task(lane.run())
    await until(lane.idle)
    for _ in range(10_000):
        log.fail_next("commit", AbortError("no"))
    await world.send(range(5))
    with pytest.raises(ExceptionGroup) as raised:
        await asyncio.wait_for(task, 10)
    assert raised.group_contains(FatalError)


async def test_a_batch_that_is_lost_before_its_first_step_ends_the_lane() -> None:
    world = World()
    lane = world.lane(small_flow(), stalled_s=0.2)

    async def lose(work: object) -> None:
        """What a channel does that drops what is in it."""

    await lane.start()
    fetching = asyncio.create_task(lane.fetching(lose))
    await world.send(range(5))
    with pytest.raises(FatalError, match="nobody has begun"):
        await asyncio.wait_for(lane.settling(), 10)
    fetching.cancel()
    await asyncio.gather(fetching, return_exceptions=True)


async def test_a_retry_waits_and_comes_back_as_the_next_pass() -> None:
    world = World()
    await world.send([1, 2, 3, 4, 5, 6])
    flow = small_flow(lambda n, attempt: Verdict.RETRY if (n == 2 and attempt < 1) or n == 4 else None)
    async with running(world.lane(flow)) as lane:
        await until(lane.idle)
    passes = {(leaf.event_id, leaf.number): (leaf.verdict, leaf.reason) for leaf in await world.leaves()}
    assert passes["e2", 0][0] == "retry"
    assert passes["e2", 1][0] == "result"
    assert [passes["e4", number] for number in range(3)] == [("retry", "policy"), ("retry", "policy"), ("dead-letter", "retries-exhausted")]
    assert set((await world.terminal()).values()) == {1}


async def _decide(world: World, review: str, action: Action, partition: int, **columns: object) -> None:
    value = decision.encode(Decision(review, action, "ann", "because", 0, columns))
    await MemoryPublisher(world.broker).publish(Outgoing("f.resume", [review.encode()], [value], partition=partition))


async def _open(world: World) -> dict[str, tuple[str, int]]:
    """Event id -> (review, partition) of records among the reviews."""
    found = {}
    for part in await world.records("f.reviews"):
        for key, value, headers in zip(part.keys, part.values, part.headers or (), strict=True):
            if value is not None:
                found[(dict(headers)["ce_causationid"] or b"").decode()] = ((key or b"").decode(), part.source.partition)
    return found


async def test_the_first_decision_about_a_review_counts_and_later_ones_are_superseded() -> None:
    world = World()
    await world.send([1, 2, 3])
    async with running(world.lane(small_flow(lambda n, attempt: Verdict.REVIEW))) as lane:
        await until(lane.idle)
        opened = await _open(world)
        assert len(opened) == 3
        await _decide(world, *_args(opened["e1"], Action.APPROVE))
        await _decide(world, *_args(opened["e1"], Action.REJECT))
        await _decide(world, *_args(opened["e2"], Action.REJECT))
        await _decide(world, *_args(opened["e3"], Action.APPROVE), wrong=1)
        await asyncio.sleep(0.1)
        await until(lane.idle)
    by = Counter((leaf.event_id, leaf.verdict, leaf.reason) for leaf in await world.leaves())
    assert by["e1", "result", ""] == 1
    assert by["e2", "quarantine", "rejected"] == 1
    assert by["e3", "superseded", "unfit"] == 1
    assert sum(count for (_, verdict, reason), count in by.items() if (verdict, reason) == ("superseded", "not-open")) == 1
    assert json.loads((await world.values("out"))[0] or b"") == {"id": "e1", "n": 1, "rule": "asked"}
    assert set((await world.terminal()).values()) == {1}


def _args(opened: tuple[str, int], action: Action) -> tuple[str, Action, int]:
    return opened[0], action, opened[1]


async def test_a_review_that_nobody_decides_expires() -> None:
    world = World()
    await world.send([1])
    flow = small_flow(lambda n, attempt: Verdict.REVIEW)
    limits = type(flow.limits)(review_s=0.1)
    async with running(world.lane(small_flow(lambda n, attempt: Verdict.REVIEW, limits=limits))) as lane:
        await until(lane.idle)
        await until(lambda: lane.status()["verdicts"].get("dead-letter") == 1)  # type: ignore[attr-defined]
    assert [leaf.reason for leaf in await world.leaves()] == ["policy", "review-expired"]


async def test_order_by_key_holds_the_partition_at_the_waiting_row() -> None:
    world = World()
    await world.send(range(30, 60))
    flow = small_flow(lambda n, attempt: Verdict.RETRY if (n in (31, 40) and attempt < 2) or n == 50 else None, order="key")
    async with running(world.lane(flow, batch_rows=7)) as lane:
        await until(lane.idle)
    for part in await world.records("out"):
        assert list(part.offsets) == sorted(part.offsets)
    leaves = await world.leaves()
    assert Counter(leaf.verdict for leaf in leaves) == {"result": 29, "dead-letter": 1}  # an attempt in place has no leaf
    for partition in range(PARTITIONS):
        offsets = [leaf.position.offset for leaf in leaves if leaf.position.partition == partition]
        assert offsets == sorted(offsets)
    assert set((await world.terminal()).values()) == {1}


async def test_two_lanes_share_the_partitions_and_lose_and_repeat_nothing() -> None:
    world = World()
    flow = small_flow()
    await world.send(range(100, 160))
    async with running(world.lane(flow, "f-0", batch_rows=5)):
        await asyncio.sleep(0.05)
        async with running(world.lane(flow, "f-1", batch_rows=5)) as second:
            await world.send(range(160, 220))
            await asyncio.sleep(0.2)
            assert second.status()["sources"]
        await world.send(range(220, 240))
        async with asyncio.timeout(8):
            while len(await world.values("out")) < 140:
                await asyncio.sleep(0.02)
    assert sorted(json.loads(value or b"")["n"] for value in await world.values("out")) == list(range(100, 240))
    assert set((await world.terminal()).values()) == {1}


async def test_a_killed_lane_leaves_nothing_half_done_to_its_successor() -> None:
    world = World()
    flow = small_flow()
    await world.send(range(300, 400))
    log = MemoryLog(world.broker, "f", "f-0")
    first = world.lane(flow, log=log, batch_rows=9)
    await first.start()
    task = asyncio.create_task(first.run())
    await asyncio.sleep(0.02)
    log.kill()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    async with running(world.lane(flow)) as lane:
        await until(lane.idle)
    assert sorted(json.loads(value or b"")["n"] for value in await world.values("out")) == list(range(300, 400))
    assert set((await world.terminal()).values()) == {1}


async def test_a_lane_that_is_paused_from_the_start_takes_nothing_of_what_is_already_there() -> None:
    world = World()
    await world.send(range(30))
    lane = world.lane(small_flow(), poll_s=0.3)
    lane.pause("a person")
    async with running(lane):
        await asyncio.sleep(0.8)
        assert not await world.leaves()
        lane.resume("a person")
        await until(lane.idle)
    assert len(await world.terminal()) == 30


async def test_a_batch_without_events_lets_nobody_pass_the_batch_before_it() -> None:
    class SlowFirst(Ask):
        slow = True

        async def run(self, batch: Batch, state: State) -> Stepped:
            wait_s, self.slow = (0.2 if self.slow else 0.0), False
            await asyncio.sleep(wait_s)
            return await super().run(batch, state)

    world = World()
    lane = world.lane(replace(small_flow(), steps=(Numbers(), SlowFirst(lambda n, attempt: None), Count())))
    async with running(lane):
        await world.send([1, 2, 3])
        await until(lambda: len(lane._flight) == 1)
        await world.send([b"junk"], "f.resume")
        await until(lambda: len(lane._flight) == 2)
        await world.send([4, 5, 6])
        await until(lambda: sum(lane.status()["verdicts"].values()) == 7)  # type: ignore[attr-defined]
    assert lane._ownership.memory._adopted["f@1.0.0", 2] == {Source("in", partition): 2 for partition in range(3)}


async def test_a_field_of_the_event_is_not_taken_for_what_a_step_says() -> None:
    class Boasting(Numbers):
        async def run(self, batch: Batch, state: State) -> Stepped:
            stepped = await super().run(batch, state)
            forged = stepped.batch.with_column("model", pa.array(["forged@9.9.9"] * len(stepped.batch))).with_column(
                "degraded", pa.array([None] * len(stepped.batch), pa.string())
            )
            return replace(stepped, batch=forged)

    world, flow = World(), small_flow()
    async with running(world.lane(replace(flow, steps=(Boasting(), *flow.steps[1:])))) as lane:
        await world.send([1, 2])
        await until(lane.idle)
    assert {(leaf.verdict, leaf.model, leaf.degraded) for leaf in await world.leaves()} == {("result", "", False)}
