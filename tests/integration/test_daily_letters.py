"""Which dead letters may be redriven, and with which bytes; in memory."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from connectors.log import Headers, Outgoing
from connectors.memory.publisher import MemoryPublisher
from connectors.memory.reader import MemoryReader
from ops.audit.subject import Subject
from ops.daily.desk import Desk
from ops.daily.letters import Letter, letter_at, letters
from ops.daily.redrive import REFUSED, WAITING, redrive
from processors.flow.compiled import Limits
from schemas import pending
from schemas.positions import Position
from tests.simulation.small import World, running, small_flow, until

BIG = b"7" * 100_000


def _plain(value: bytes, headers: Headers = ()) -> Mapping[str, Any]:
    return {"text": value.decode()}


def desk_of(world: World, value_bytes: int = 1_048_576) -> Desk:
    flow = small_flow(limits=Limits(value_bytes=value_bytes))
    subject = Subject("f", flow.topics, "weft", ())
    return Desk((flow,), MemoryReader(world.broker), MemoryPublisher(world.broker), subject, _plain, _plain)


async def posted(world: World, value: bytes, root: str = "in/1/0", **weft: str) -> None:
    """A letter as Weft writes it."""
    told = {
        "position": root,
        "flow": "f@1.0.0",
        "reason": "too-large",
        "step": "numbers",
        "detail": "why",
        "pass": "0",
        "redrive": "0",
    } | weft
    headers: list[tuple[str, bytes | None]] = [("note", b"kept"), *((f"ce_weft{name}", text.encode()) for name, text in told.items())]
    await MemoryPublisher(world.broker).publish(Outgoing("f.dead", [b"k"], [value], [headers], partition=2))


async def cut_letter(world: World, original: bytes = BIG) -> None:
    await MemoryPublisher(world.broker).publish(Outgoing("in", [b"k"], [original], partition=1))
    await posted(world, BIG[:65_536], size=str(len(BIG)), sha256=hashlib.sha256(BIG).hexdigest())


async def only(desk: Desk) -> Letter:
    (letter,) = [letter async for letter in letters(desk)]
    return letter


async def test_a_cut_letter_is_read_again_at_its_root_position() -> None:
    world = World()
    await cut_letter(world)
    desk = desk_of(world)
    (told,) = await redrive(desk, [await only(desk)], timeout_s=0)
    assert told.outcome == WAITING
    (record,) = await world.records("f.resume")
    assert record.source.partition == 1
    sent = pending.decode(record.values[0] or b"")
    assert (sent.value, sent.key, sent.headers, sent.generation, sent.number) == (BIG, b"k", [("note", b"kept")], 1, 0)


async def test_a_cut_letter_is_refused_while_the_limit_stands_or_without_its_original() -> None:
    world = World()
    await cut_letter(world)
    desk = desk_of(world, value_bytes=99_999)
    (still,) = await redrive(desk, [await only(desk)])
    assert (still.outcome, "still allows 99,999" in still.sentence) == (REFUSED, True)
    other = World()
    await cut_letter(other, original=b"another topic's")
    desk = desk_of(other)
    (changed,) = await redrive(desk, [await only(desk)])
    assert (changed.outcome, "is not the original" in changed.sentence) == (REFUSED, True)
    letter = await only(desk)
    (gone,) = await redrive(desk, [replace(letter, root=Position("in", 0, 5))])
    assert (gone.outcome, "no longer there" in gone.sentence) == (REFUSED, True)
    assert await other.values("f.resume") == []


async def test_what_was_never_read_is_not_redriven() -> None:
    world = World()
    await posted(world, b"", headers="oversized-batch")
    desk = desk_of(world)
    (told,) = await redrive(desk, [await only(desk)])
    assert (told.outcome, "never read" in told.sentence) == (REFUSED, True)


async def test_what_never_was_an_event_is_not_redriven() -> None:
    world = World()
    await world.send([1])
    await MemoryPublisher(world.broker).publish(Outgoing("f.resume", [b"k"], [b"nonsense"], partition=0))
    async with running(world.lane(small_flow())) as lane:
        await until(lane.idle)
        await until(lambda: bool(lane.status()["verdicts"].get("unreadable")))  # type: ignore[attr-defined]
    desk = desk_of(world)
    letter = await only(desk)
    assert letter.generation is None
    (told,) = await redrive(desk, [letter])
    assert (told.outcome, "never was an event" in told.sentence) == (REFUSED, True)


async def test_a_record_that_weft_did_not_write_is_no_letter() -> None:
    world = World()
    await MemoryPublisher(world.broker).publish(Outgoing("f.dead", [b"k"], [b"v"], [[("ce_weftposition", b"nowhere")]], partition=0))
    await posted(world, b"v", reason="invalid")
    desk = desk_of(world)
    assert (await only(desk)).reason == "invalid"
    assert (await letter_at(desk, "2/0")).root == Position("in", 1, 0)
