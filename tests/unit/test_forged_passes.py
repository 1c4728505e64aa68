"""Records on a flow's own topics that look in every field like Weft's: what they do to an event, and that verify says so.

Only who may write to these topics can do this; docs/ledger.md says who should.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from connectors.log import Headers, Outgoing
from connectors.memory.publisher import MemoryPublisher
from connectors.memory.reader import MemoryReader
from ops.audit.report import Law, Report
from ops.audit.subject import Subject
from ops.audit.verify import Verification
from processors.flow.compiled import Flow
from schemas import decision, pending
from schemas.decision import Action, Decision
from schemas.vocabulary import Verdict
from tests.contract.ledger_world import Soon
from tests.simulation.small import World, running, small_flow, until
from tests.unit.test_hostile_resume import REDRIVE, TRUE

Decide = Callable[[int, int], Verdict | None]

STAMPS: Headers = [("ce_weftflow", b"f@1.0.0"), ("ce_weftposition", b"in/0/0"), ("ce_weftverdict", b"retry")]


def pauses(n: int, attempt: int) -> Verdict | None:
    """Every event waits once."""
    return None if attempt else Verdict.RETRY


def asks(n: int, attempt: int) -> Verdict | None:
    """Every event waits for a person."""
    return Verdict.REVIEW


def passes(n: int, attempt: int) -> Verdict | None:
    """No event waits."""
    return None


async def put(world: World, topic: str, value: bytes, headers: Headers = (), key: bytes | None = b"k") -> None:
    await MemoryPublisher(world.broker).publish(Outgoing(topic, [key], [value], [list(headers)], partition=0))


async def work(world: World, flow: Flow, *values: object) -> None:
    """Decide what is there and these events; the first of them is in/0/0."""
    await world.send(values)
    async with running(world.lane(flow)) as lane:
        await asyncio.sleep(0.05)
        await until(lane.idle)


async def audited(world: World) -> Report:
    subject = Subject("f", small_flow().topics, "weft", (world.key.verifier("x").public,))
    return await Verification(MemoryReader(world.broker), subject, clock=Soon()).run()


def forged() -> bytes:
    """A pass of in/0/0 as Weft would write it."""
    return pending.encode(replace(TRUE, first_consumed_ms=time.time_ns() // 1_000_000))


async def copied(world: World, topic: str) -> None:
    """The topic's first record once more, byte by byte."""
    (records,) = [part for part in await world.records(topic) if part.source.partition == 0]
    assert records.headers is not None
    await put(world, topic, records.values[0] or b"", records.headers[0], records.keys[0])


@pytest.mark.parametrize("headers", [(), STAMPS])
async def test_a_forged_retry_of_an_event_that_has_ended_is_found(headers: Headers) -> None:
    world, flow = World(), small_flow(passes)
    await work(world, flow, 20)
    assert (await audited(world)).proven
    await put(world, "f.retry.a", forged(), headers)
    await work(world, flow)
    assert (await world.terminal())["in/0/0#0"] == 2
    report = await audited(world)
    assert set(report.found) == {Law.EVENTS, Law.OUTCOMES}
    assert any("the event ended already" in sentence for _, sentence in report.findings)


async def test_a_forged_retry_before_the_true_one_is_found() -> None:
    world = World()
    flow = small_flow(pauses, limits=replace(small_flow().limits, retries_s=(0.5, 1.0)))
    await put(world, "f.retry.b", forged(), STAMPS)
    await work(world, flow, 20)
    assert (await world.terminal())["in/0/0#0"] == 2
    assert set((await audited(world)).found) == {Law.EVENTS, Law.OUTCOMES}


async def test_a_copy_of_a_true_retry_is_found() -> None:
    world, flow = World(), small_flow(pauses)
    await work(world, flow, 20)
    assert (await audited(world)).proven
    await copied(world, "f.retry.a")
    await work(world, flow)
    assert (await world.terminal())["in/0/0#0"] == 2
    assert set((await audited(world)).found) == {Law.EVENTS, Law.OUTCOMES}


async def test_a_forged_redrive_of_an_event_that_is_no_dead_letter_is_found() -> None:
    world, flow = World(), small_flow(passes)
    await work(world, flow, 20)
    await put(world, "f.resume", pending.encode(REDRIVE))
    await work(world, flow)
    assert set(await world.terminal()) == {"in/0/0#0", "in/0/0#1"}
    report = await audited(world)
    assert set(report.found) == {Law.EVENTS}
    assert "no dead letter of generation 0" in report.findings[0][1]


async def test_a_forged_review_and_its_approval_are_found() -> None:
    world, flow = World(), small_flow(passes)
    await work(world, flow, 20)
    await put(world, "f.reviews", pending.encode(replace(TRUE, number=0, due_ms=1 << 42)), STAMPS, b"review")
    await put(world, "f.resume", decision.encode(Decision("review", Action.APPROVE, "eve", "", 0, {"rule": "mine"})))
    await work(world, flow)
    assert (await world.terminal())["in/0/0#0"] == 2
    assert Law.EVENTS in (await audited(world)).found


async def test_a_copy_of_a_true_decision_changes_nothing() -> None:
    world, flow = World(), small_flow(asks)
    await work(world, flow, 20)
    (records,) = [part for part in await world.records("f.reviews") if len(part)]
    review = (records.keys[0] or b"").decode()
    await put(world, "f.resume", decision.encode(Decision(review, Action.APPROVE, "ann", "", 0, {"rule": "ours"})))
    await work(world, flow)
    await copied(world, "f.resume")
    await work(world, flow)
    assert await world.terminal() == {"in/0/0#0": 1}
    report = await audited(world)
    assert report.proven, report.findings
    assert report.counts["void"] == 1


async def test_a_copy_of_a_true_redrive_changes_nothing() -> None:
    world, flow = World(), small_flow(passes)
    await work(world, flow, "no number")
    key, value = b"no number", b"no number"
    redrive = replace(REDRIVE, key=key, value=value, event_id="in/0/0")
    await put(world, "f.resume", pending.encode(redrive))
    await work(world, flow)
    await copied(world, "f.resume")
    await work(world, flow)
    assert await world.terminal() == {"in/0/0#0": 1, "in/0/0#1": 1}
    report = await audited(world)
    assert report.proven, report.findings
    assert report.counts["void"] == 1
