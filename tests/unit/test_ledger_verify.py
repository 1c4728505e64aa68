"""Verify proves a flow that kept the promise, and finds each way of breaking it."""

from dataclasses import replace

import pytest

from connectors.log import Outgoing
from ops.audit.report import Law, Report
from schemas.positions import Position, Source
from tests.contract.ledger_world import TOPICS, World


def laws(report: Report) -> set[Law]:
    return set(report.found)


async def test_a_flow_in_which_every_event_ended_is_proven() -> None:
    world = World()
    for partition in (0, 1):
        rows = world.produce(partition, 40)
        mixed = [
            replace(row, verdict=verdict)
            for row, verdict in zip(rows, ["result", "filtered", "dead-letter", "quarantine"] * 10, strict=True)
        ]
        world.settle(mixed[:15])
        world.settle(mixed[15:])
    report = await world.audit()
    assert (report.proven, report.findings, report.notes) == (True, [], [])
    assert report.counts["ended"] == report.counts["events"] == report.counts["records"] == 80
    assert report.counts["outcomes"] == 60
    assert report.verdicts == {"result": 20, "filtered": 20, "dead-letter": 20, "quarantine": 20}


async def test_an_event_may_wait_come_back_die_and_be_redriven() -> None:
    world = World()
    event = replace(world.produce(0, 1)[0], verdict="retry")
    world.settle([event])
    assert (await world.audit()).counts["waiting"] == 1
    asked = world.back(TOPICS.retries[0], event, "review")
    world.settle([asked])
    died = world.back(TOPICS.resume, asked, "dead-letter")
    world.settle([died])
    again = world.back(TOPICS.resume, died, "result", generation=1, number=0)
    world.settle([again])
    late = world.back(TOPICS.resume, died, "superseded", generation=1, number=0)
    world.settle([late])
    report = await world.audit()
    assert report.proven, report.findings
    assert (report.counts["ended"], report.counts["waiting"], report.counts["void"]) == (2, 0, 1)
    told = {line.law: line.figures for line in report.lines()}
    assert told[Law.EVENTS].startswith("1 events, 1 ended, 1 generations were redriven")


async def test_a_closed_review_may_be_compacted_away_and_an_open_one_may_not() -> None:
    world = World()
    open_one, closed = (replace(row, verdict="review", key=row.key) for row in world.produce(0, 2))
    world.settle([open_one, closed])
    world.settle([world.back(TOPICS.resume, closed, "result")])
    world.broker.append(Outgoing(TOPICS.reviews, [closed.key], [None], partition=0))
    world.broker.partition(Source(TOPICS.reviews, 0)).compact()
    assert (await world.audit()).proven
    world.broker.append(Outgoing(TOPICS.reviews, [open_one.key], [None], partition=0))
    world.broker.partition(Source(TOPICS.reviews, 0)).compact()
    assert laws(await world.audit()) == {Law.OUTCOMES}


async def test_an_outcome_that_is_missing_is_found() -> None:
    world = World()
    rows = world.produce(0, 10)
    world.settle(rows, unrecorded=rows[3:4])
    report = await world.audit()
    assert laws(report) == {Law.OUTCOMES}
    assert "event 0/3" in report.findings[0][1]
    assert "not on its topic" in report.findings[0][1]


async def test_an_outcome_that_is_there_twice_is_found() -> None:
    world = World()
    rows = world.produce(0, 10)
    world.settle(rows)
    world.record(rows[3])
    report = await world.audit()
    assert laws(report) == {Law.OUTCOMES}
    assert "more than in the ledger" in report.findings[0][1]


async def test_an_outcome_that_was_changed_is_found_on_both_sides() -> None:
    world = World()
    rows = world.produce(0, 10)
    world.settle(rows, unrecorded=rows[3:4])
    world.record(replace(rows[3], output=b"another decision"))
    assert (await world.audit()).found[Law.OUTCOMES] == 2


async def test_an_outcome_on_the_topic_of_another_verdict_is_found() -> None:
    world = World()
    world.settle(world.produce(0, 1))
    headers = [("ce_weftflow", b"delays@1.0.0"), ("ce_weftposition", b"flights/0/0"), ("ce_weftverdict", b"result")]
    world.broker.append(Outgoing(TOPICS.quarantine, [b"k0"], [b"decision"], [headers]))  # type: ignore[list-item]
    assert laws(await world.audit()) == {Law.OUTCOMES}


async def test_records_of_others_count_on_the_result_topic_only() -> None:
    world = World()
    world.settle(world.produce(0, 1))
    world.broker.append(Outgoing(TOPICS.result, [b"k"], [b"v"]))
    report = await world.audit()
    assert report.proven
    assert "others" in report.notes[0]
    world.broker.append(Outgoing(TOPICS.dead_letters, [b"k"], [b"v"]))
    assert laws(await world.audit()) == {Law.OUTCOMES}


async def test_an_event_without_a_leaf_is_found() -> None:
    world = World()
    rows = world.produce(0, 10)
    world.settle(rows[:3] + rows[4:])
    report = await world.audit()
    assert report.findings == [(Law.RECORDS, "The record at flights/0/3 has no leaf: it was never decided.")]


async def test_a_leaf_without_a_record_is_found() -> None:
    world = World()
    rows = world.produce(0, 3)
    world.settle([*rows, replace(rows[0], position=Position("flights", 0, 9))])
    assert Law.RECORDS in laws(await world.audit())


async def test_a_record_that_was_changed_after_its_decision_is_found() -> None:
    world = World()
    rows = world.produce(0, 3)
    world.settle([rows[0], replace(rows[1], value=b"other"), rows[2]])
    assert laws(await world.audit()) == {Law.RECORDS}


async def test_what_retention_deleted_is_proven_from_the_blocks() -> None:
    world = World()
    rows = world.produce(0, 10)
    world.settle(rows[:5])
    world.settle(rows[5:])
    world.broker.partition(Source(TOPICS.input, 0)).purge(7)
    report = await world.audit()
    assert report.proven, report.findings
    assert (report.counts["gone"], report.counts["records"]) == (7, 3)
    assert "gone below offset 7" in report.notes[0]


async def test_events_that_no_worker_took_in_yet_are_said() -> None:
    world = World()
    rows = world.produce(0, 10)
    world.settle(rows[:5])
    report = await world.audit()
    assert report.proven
    assert report.counts["not taken in"] == 5


async def test_a_second_terminal_leaf_of_an_event_is_found() -> None:
    world = World()
    event = world.produce(0, 1)[0]
    world.settle([event])
    world.settle([world.back(TOPICS.resume, event, "result")])
    report = await world.audit()
    assert Law.EVENTS in laws(report)
    assert "ended already" in report.findings[0][1]


@pytest.mark.parametrize(
    "changes",
    [
        {"number": 2},
        {"generation": 1},
        {"key": b"another"},
        {"root": Position("flights", 1, 0)},
        {"root": Position("elsewhere", 0, 0)},
        {"number": 0},
        {"verdict": "unheard-of"},
    ],
)
async def test_a_pass_that_does_not_follow_the_one_before_is_found(changes: dict[str, object]) -> None:
    world = World()
    event = replace(world.produce(0, 1)[0], verdict="retry")
    world.settle([event])
    world.settle([world.back(TOPICS.retries[0], event, "result", **changes)])
    assert Law.EVENTS in laws(await world.audit())


async def test_two_redrives_of_one_generation_are_found() -> None:
    world = World()
    died = replace(world.produce(0, 1)[0], verdict="dead-letter")
    world.settle([died])
    for _ in range(2):
        world.settle([world.back(TOPICS.resume, died, "result", generation=1, number=0)])
    assert laws(await world.audit()) == {Law.EVENTS}


async def test_a_review_that_comes_back_on_a_retry_topic_is_found() -> None:
    world = World()
    asked = replace(world.produce(0, 1)[0], verdict="review")
    world.settle([asked])
    (place,) = world.write(TOPICS.retries[0], 0, [b"k"], [b"v"])
    world.settle([replace(world.back(TOPICS.resume, asked, "result"), position=place)])
    assert Law.EVENTS in laws(await world.audit())


async def test_a_retry_record_that_is_gone_without_retention_is_found() -> None:
    world = World()
    waits = replace(world.produce(0, 1)[0], verdict="retry")
    world.settle([waits])
    world.settle([world.back(TOPICS.retries[0], waits, "result")])
    world.broker.partition(Source(TOPICS.retries[0], 0)).entries.clear()
    assert laws(await world.audit()) == {Law.OUTCOMES, Law.RECORDS}


async def test_an_outcome_whose_headers_name_another_verdict_is_found() -> None:
    world = World()
    event = replace(world.produce(0, 1)[0], verdict="quarantine")
    world.settle([event], unrecorded=[event])
    headers = [("ce_weftflow", b"delays@1.0.0"), ("ce_weftposition", b"flights/0/0"), ("ce_weftverdict", b"result")]
    world.broker.append(Outgoing(TOPICS.quarantine, [event.key], [event.output], [headers]))  # type: ignore[list-item]
    report = await world.audit()
    assert any("does not say which event and verdict" in sentence for _, sentence in report.findings)


async def test_leaves_out_of_order_are_found() -> None:
    world = World()
    one, two, three = world.produce(0, 3)
    world.settle([two, one, three])
    assert Law.TREES in laws(await world.audit())
