"""Verification beside transactions that stand open: what nobody can read yet is no finding, and what is gone still is."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from connectors.log import Outgoing
from connectors.memory.broker import MemoryBroker
from ops.audit import state
from ops.audit.report import Law, Report
from tests.contract.ledger_world import OUTCOMES, TOPICS, Soon, World

OPEN = "Transactions stand open in "


@contextmanager
def standing_open(broker: MemoryBroker, topic: str, partition: int | None = None) -> Iterator[None]:
    """A transaction of another worker, of which nothing will become; in every partition, or one."""
    producer = broker.producer(topic, broker.init_producer(topic))
    broker.begin(producer)
    for number in range(len(broker.topic(topic).partitions)):
        if partition in (None, number):
            broker.append(Outgoing(topic, [b"k"], [b"v"], partition=number), producer.open)
    yield
    broker.end(producer, committed=False)


async def test_a_head_that_is_signed_behind_an_open_transaction_is_no_finding() -> None:
    world = World()
    with standing_open(world.broker, TOPICS.ledger, 0):
        world.settle(world.produce(0, 10))
        world.settle(world.produce(1, 10))
        report = await world.audit()
        assert report.proven, report.findings
        assert report.counts["leaves"] == 10
        assert f"{OPEN}delays.ledger/0: what is behind is left to the next run." in report.notes
    report = await world.audit()
    assert report.proven, report.findings
    assert report.counts["leaves"] == 20


@pytest.mark.parametrize("verdict", ["result", "quarantine", "dead-letter", "review", "retry"])
async def test_an_outcome_behind_an_open_transaction_is_no_finding(verdict: str) -> None:
    world = World()
    with standing_open(world.broker, OUTCOMES[verdict]):
        world.settle([replace(row, verdict=verdict) for row in world.produce(0, 10)])
        report = await world.audit()
    assert report.proven, report.findings
    assert any(note.startswith(OPEN) for note in report.notes)


async def since(world: World, file: Path) -> Report:
    """A verification that goes on where the one before ended."""
    run = world.verification()
    state.restore(run, file)
    report = await world.audit(run)
    state.save(run, file)
    return report


@pytest.mark.parametrize("topic", [TOPICS.ledger, TOPICS.result])
async def test_what_was_left_to_the_next_run_is_proven_by_it(topic: str, tmp_path: Path) -> None:
    world, file = World(), tmp_path / "last.state"
    with standing_open(world.broker, topic):
        world.settle(world.produce(0, 10))
        assert (await since(world, file)).proven
    report = await since(world, file)
    assert report.proven, report.findings
    assert not report.notes


@pytest.mark.parametrize("topic", [TOPICS.ledger, TOPICS.result])
async def test_what_was_left_to_the_next_run_and_never_came_is_found_by_it(topic: str, tmp_path: Path) -> None:
    world, file = World(), tmp_path / "last.state"
    with standing_open(world.broker, topic):
        world.settle(world.produce(0, 10))
        assert (await since(world, file)).proven
    for part in world.broker.topic(topic).partitions:
        part.entries.clear()
    laws = {law for law, _ in (await since(world, file)).findings}
    assert laws == ({Law.CHECKPOINTS, Law.OUTCOMES} if topic == TOPICS.ledger else {Law.OUTCOMES})


async def test_what_is_gone_is_found_beside_what_can_not_be_read() -> None:
    world = World()
    rows = [replace(row, verdict="quarantine") for row in world.produce(1, 10)]
    with standing_open(world.broker, TOPICS.result), standing_open(world.broker, TOPICS.ledger, 0):
        world.settle(world.produce(0, 10))
        world.settle(rows, unrecorded=rows[3:4])
        report = await world.audit()
    assert [law for law, _ in report.findings] == [Law.OUTCOMES]
    assert "The quarantine of event 1/3" in report.findings[0][1]


async def test_a_head_whose_block_is_gone_is_found_once_no_transaction_stands_open() -> None:
    world = World()
    world.settle(world.produce(0, 10))
    world.broker.topic(TOPICS.ledger).partitions[0].entries.clear()
    report = await world.audit()
    assert {law for law, _ in report.findings} == {Law.CHECKPOINTS, Law.OUTCOMES}


async def test_a_transaction_that_ends_meanwhile_is_waited_for() -> None:
    class Ending(Soon):
        """Somebody ends the transaction in the fifth second."""

        slept = 0

        async def sleep(self, seconds: float) -> None:
            self.slept += 1
            if self.slept == 5:
                closing.__exit__(None, None, None)

    clock = Ending()
    world = World(clock=clock)
    closing = standing_open(world.broker, TOPICS.ledger, 0)
    closing.__enter__()
    world.settle(world.produce(0, 10))
    report = await world.audit()
    assert report.proven, report.findings
    assert report.counts["leaves"] == 10
    assert not report.notes
