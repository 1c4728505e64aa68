"""The control topic: what stands on it, who is heard, and what happens when it can't be read."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from connectors.log import Outgoing, Records
from connectors.memory.broker import MemoryBroker
from connectors.memory.publisher import MemoryPublisher
from connectors.memory.reader import MemoryReader
from processors.flow.bundle import CONTROL_TOPIC
from processors.step import Signal
from schemas.errors import FailedError, UsageError
from schemas.positions import Source
from streams.bulletin import Bulletin
from streams.clock import SystemClock
from streams.control import Alert, Control, FlowPaused, Record, catch_up, say


class Slow(MemoryReader):
    """A reader that never comes to the end."""

    async def read(self, source: Source, start: int = 0) -> AsyncIterator[Records]:
        async for records in super().read(source, start):
            yield records
        await asyncio.sleep(3600)


def _broker() -> MemoryBroker:
    broker = MemoryBroker()
    broker.create(CONTROL_TOPIC, 1)
    return broker


def _pause(flow: str, paused: bool) -> FlowPaused:
    return FlowPaused(flow=flow, paused=paused, who="ada", why="a test", at_ms=1)


async def _heard(broker: MemoryBroker, *records: Record) -> Control:
    await say(MemoryPublisher(broker), records)
    control = Control()
    await catch_up(MemoryReader(broker), control)
    return control


async def test_the_last_word_about_a_flow_counts() -> None:
    control = await _heard(_broker(), _pause("a", True), _pause("b", True), _pause("a", False))
    assert control.paused("a") is None
    pause = control.paused("b")
    assert pause is not None
    assert pause.who == "ada"


async def test_what_was_heard_before_does_not_come_back_when_it_is_read_again() -> None:
    broker = _broker()
    control = await _heard(broker, _pause("a", True), _pause("a", False))
    told: list[bool] = []
    control.changed = lambda: told.append(control.paused("a") is not None)
    await catch_up(MemoryReader(broker), control)
    assert told == []
    await say(MemoryPublisher(broker), [_pause("a", True)])
    await catch_up(MemoryReader(broker), control)
    assert told == [True]


async def test_a_record_that_cannot_be_read_is_counted_and_stops_nothing() -> None:
    broker = _broker()
    await MemoryPublisher(broker).publish(Outgoing(CONTROL_TOPIC, [b"pause/a", b"what/else"], [b"{", b'{"kind": "new"}'], partition=0))
    control = await _heard(broker, _pause("b", True))
    assert control.unreadable == 2
    assert control.paused("b") is not None


async def test_a_tombstone_takes_a_pause_back() -> None:
    broker = _broker()
    await _heard(broker, _pause("a", True))
    await MemoryPublisher(broker).publish(Outgoing(CONTROL_TOPIC, [b"pause/a"], [None], partition=0))
    assert (await _heard(broker)).paused("a") is None


async def test_versions_of_a_flow_and_its_pause_do_not_meet() -> None:
    broker = _broker()
    await MemoryPublisher(broker).publish(Outgoing(CONTROL_TOPIC, [b"flow/a/1.0.0", b"flow/a"], [b"bundle", b"1.0.0"], partition=0))
    control = await _heard(broker, _pause("a", True))
    assert control.applied.versions("a") == [b"bundle"]
    assert control.unreadable == 0


async def test_a_control_topic_that_is_never_read_to_its_end_is_a_clear_error() -> None:
    with pytest.raises(FailedError, match=r"could not be read to its end within 0\.05 s"):
        await catch_up(Slow(_broker()), Control(), within_s=0.05)


async def test_a_missing_control_topic_is_a_clear_error() -> None:
    with pytest.raises(UsageError):
        await catch_up(MemoryReader(MemoryBroker()), Control())


async def test_alerts_and_breakers_reach_the_control_topic() -> None:
    broker, circuits = _broker(), {"m@1": "closed"}
    bulletin = Bulletin("a", "a-0", MemoryPublisher(broker), lambda: circuits, SystemClock())
    bulletin.heard([Signal(Source("in", 2), "drift", "delay", "it moved", {"psi": 0.3}, "drift-delay")])
    await bulletin.send()
    circuits["m@1"] = "open"
    await bulletin.send()
    await bulletin.send()
    control = await _heard(broker)
    assert [alert.key for alert in control.alerts("a")] == ["alert/a/drift-delay/delay/in/2"]
    assert isinstance(control.alerts("a")[0], Alert)
    assert sorted(control.records) == ["alert/a/drift-delay/delay/in/2", "breaker/m@1/a-0"]
