"""Records on resume and retry topics that Weft did not write: none stops the lane, and none ends an event a second time."""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest

from connectors.log import Outgoing
from connectors.memory.publisher import MemoryPublisher
from schemas import decision, pending
from schemas.decision import Action, Decision
from schemas.pending import Pending
from schemas.positions import Position
from schemas.vocabulary import Verdict
from streams.ledger.leaf import Leaf
from tests.simulation.small import World, running, small_flow, until

ROW = pa.RecordBatch.from_pydict({"n": pa.array([7], pa.int64()), "id": ["e7"]})
TRUE = Pending(
    Position("in", 0, 0), 0, 1, "e20", "f", "1.0.0", 1, "ask", 1, 0, b"20", b"20", [("ce_id", b"x")], 0, pending.pack(ROW), 1,
    "policy", "asked", "the rule asks",
)  # fmt: skip
REDRIVE = replace(TRUE, generation=1, number=0, step_index=0, step="numbers", columns=None, attempt=0)


async def put(
    world: World, topic: str, value: bytes | None, partition: int = 0, headers: list[tuple[str, bytes | None]] | None = None
) -> None:
    await MemoryPublisher(world.broker).publish(Outgoing(topic, [b"k"], [value], [[]], partition=partition))


async def leaves_of(value: bytes, topic: str = "f.retry.a") -> list[Leaf]:
    """What becomes of one hostile record behind nine decided events; an event behind it is decided still."""
    world = World()
    await world.send(range(20, 29))
    async with running(world.lane(small_flow())) as lane:
        await until(lane.idle)
        await put(world, topic, value)
        await world.send([40, 41, 42])
        await asyncio.sleep(0.05)
        await until(lane.idle)
    assert len(await world.values("out")) == 12
    assert set((await world.terminal()).values()) == {1}
    return [leaf for leaf in await world.leaves() if leaf.position.topic == topic]


FORGED: Mapping[str, Mapping[str, Any]] = {
    "a step that there is not": {"step_index": 9},
    "a step before the first": {"step_index": -1},
    "the step of another name": {"step": "count"},
    "another topic": {"root": Position("other", 0, 0)},
    "another partition": {"root": Position("in", 1, 0)},
    "a partition that there is not": {"root": Position("in", 77, 0)},
    "an offset before the first": {"root": Position("in", 0, -1)},
    "an event that is not there": {"root": Position("in", 0, 1 << 40)},
    "a generation below none": {"generation": -5},
    "a generation that overflows": {"generation": 2**31 - 1},
    "a pass that overflows": {"number": 2**31 - 1},
    "an attempt below none": {"attempt": -1},
    "no attempt": {"attempt": 0},
    "another flow": {"flow": "g"},
    "a time to come": {"first_consumed_ms": 2**63 - 1},
    "columns that are none": {"columns": b"\xff\xff\xff\xff\x10\0\0\0 not arrow"},
    "two rows of columns": {"columns": pending.pack(pa.concat_batches([ROW, ROW]))},
    "a rule as long as a book": {"rule": "r" * 1_000_000},
}


@pytest.mark.parametrize("what", FORGED)
async def test_a_retry_that_weft_can_not_have_written_is_unreadable(what: str) -> None:
    (leaf,) = await leaves_of(pending.encode(replace(TRUE, **FORGED[what])))
    assert (leaf.verdict, leaf.reason) == (Verdict.UNREADABLE, "not-pending")


@pytest.mark.parametrize(
    "changes",
    [{"root": Position("in", 1, 0)}, {"root": Position("in", 0, 99)}, {"number": 1}, {"flow": "g"}, {"generation": -1}, {"step_index": 7}],
)
async def test_a_redrive_of_what_is_no_event_here_is_unreadable(changes: Mapping[str, Any]) -> None:
    (leaf,) = await leaves_of(pending.encode(replace(REDRIVE, **changes)), "f.resume")
    assert leaf.verdict == Verdict.UNREADABLE


@pytest.mark.parametrize("generation", [0, 2, 999_999])
async def test_a_redrive_of_a_forged_generation_is_superseded(generation: int) -> None:
    (leaf,) = await leaves_of(pending.encode(replace(REDRIVE, generation=generation)), "f.resume")
    assert (leaf.verdict, leaf.reason) == (Verdict.SUPERSEDED, "not-next")


@pytest.mark.parametrize(("key", "value"), [(b"k", b"1"), (b"in/0/0", b"many"), (b"\xff", None), (b"in/0/x", None)])
async def test_a_record_among_the_generations_that_weft_did_not_write_is_passed_over(key: bytes, value: bytes | None) -> None:
    world = await waiting_world()
    await MemoryPublisher(world.broker).publish(Outgoing("f.generations", [key], [value], [[]], partition=0))
    leaf = await retried(world, pending.encode(replace(REDRIVE, generation=2)), "f.resume")
    assert (leaf.verdict, leaf.reason) == (Verdict.SUPERSEDED, "not-next")


WRONG: Mapping[str, pa.RecordBatch] = {
    "another type": pa.RecordBatch.from_pydict({"n": ["seven"], "id": ["e7"]}),
    "a column too few": ROW.select(["id"]),
    "a column too many": ROW.append_column("model", pa.array(["m"])),
    "one name twice": pa.RecordBatch.from_arrays([ROW.column(0), ROW.column(1), ROW.column(0)], names=["n", "id", "n"]),
    "a nested id": pa.RecordBatch.from_pydict({"n": ROW.column(0), "id": [[{"a": 1}]]}),
}


async def retried(world: World, value: bytes, topic: str = "f.retry.a") -> Leaf:
    """What becomes of a forged record about an event that itself never ended here: its topic was decided by nobody."""
    async with running(world.lane(small_flow())) as lane:
        await until(lane.idle)
        await put(world, topic, value)
        await asyncio.sleep(0.05)
        await until(lane.idle)
    (leaf,) = [leaf for leaf in await world.leaves() if leaf.position.topic == topic]
    return leaf


async def waiting_world() -> World:
    """An event that is read, and waits on nothing."""
    world = World()
    await world.send([20])
    return world


@pytest.mark.parametrize("what", WRONG)
async def test_columns_that_the_steps_before_can_not_have_given_end_the_row(what: str) -> None:
    now = replace(TRUE, first_consumed_ms=_now_ms(), columns=pending.pack(WRONG[what]))
    leaf = await retried(await waiting_world(), pending.encode(now))
    assert (leaf.verdict, leaf.reason) == (Verdict.DEAD_LETTER, "step-failed")


async def test_a_retry_that_says_to_wait_for_ever_holds_up_nobody() -> None:
    leaf = await retried(await waiting_world(), pending.encode(replace(TRUE, first_consumed_ms=_now_ms(), due_ms=1 << 60)))
    assert leaf.verdict == Verdict.RESULT


async def test_headers_as_large_as_the_topic_allows_are_cut_from_the_letter() -> None:
    world = await waiting_world()
    world.broker.topic("f.dead").max_message_bytes = 1_200_000
    huge = replace(TRUE, first_consumed_ms=1, headers=[("a", b"x" * 3_000_000)])
    leaf = await retried(world, pending.encode(huge))
    assert (leaf.verdict, leaf.reason) == (Verdict.DEAD_LETTER, "deadline")
    assert len(await world.values("f.dead")) == 1


@pytest.mark.parametrize("topic", ["f.resume", "f.retry.a"])
async def test_an_unreadable_record_as_large_as_the_topic_allows_is_cut(topic: str) -> None:
    world = await waiting_world()
    world.broker.topic("f.dead").max_message_bytes = 1_200_000
    leaf = await retried(world, b"z" * 3_900_000, topic)
    assert leaf.verdict == Verdict.UNREADABLE


async def reviewed(value: Any, partition: int) -> Counter[tuple[str, str]]:
    """Verdicts after a decision about the one open review, which stands at partition 0."""
    world = World()
    await world.send([1])
    async with running(world.lane(small_flow(lambda n, attempt: Verdict.REVIEW))) as lane:
        await until(lane.idle)
        (records,) = [part for part in await world.records("f.reviews") if len(part)]
        review = (records.keys[0] or b"").decode()
        await put(world, "f.resume", value(review), partition)
        await asyncio.sleep(0.05)
        await until(lane.idle)
    return Counter((leaf.verdict, leaf.reason) for leaf in await world.leaves() if leaf.position.topic == "f.resume")


def approves(**columns: Any) -> Any:
    return lambda review: decision.encode(Decision(review, Action.APPROVE, "eve", "", 0, columns))


async def test_a_decision_about_a_review_of_another_partition_is_superseded() -> None:
    assert await reviewed(approves(), 1) == {("superseded", "not-open"): 1}


@pytest.mark.parametrize("columns", [{"rule": {"a": [1]}}, {"rule": 7}, {"rule": "r" * 1_000_000}, {"nothing": 1}, {"rule": ["a"]}])
async def test_a_decision_with_columns_that_do_not_fit_is_superseded(columns: Mapping[str, Any]) -> None:
    assert await reviewed(approves(**columns), 0) == {("superseded", "unfit"): 1}


async def test_a_decision_cut_in_the_middle_is_unreadable() -> None:
    assert await reviewed(lambda review: approves()(review)[:-3], 0) == {("unreadable", "not-pending"): 1}


async def test_an_expiry_before_its_time_changes_nothing() -> None:
    early = await reviewed(lambda review: decision.encode(Decision(review, Action.EXPIRE, "eve", "", 0)), 0)
    assert early == {("superseded", "not-open"): 1}


async def test_what_is_no_review_among_the_reviews_is_passed_over() -> None:
    world = World()
    await put(world, "f.reviews", pending.encode(TRUE)[:-4])
    async with running(world.lane(small_flow())) as lane:
        await put(world, "f.resume", approves()("k"))
        await asyncio.sleep(0.05)
        await until(lane.idle)
    assert [leaf.reason for leaf in await world.leaves()] == ["not-open"]


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
