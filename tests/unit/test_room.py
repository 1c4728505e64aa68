"""Whatever the size of what comes in, every record that goes out fits its topic, and each event ends once."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from connectors.log import Headers, Outgoing
from connectors.memory.publisher import MemoryPublisher
from ops.audit.subject import Subject
from ops.daily.desk import Desk
from ops.daily.letters import Letter, letters
from ops.daily.redrive import REFUSED, WAITING, redrive
from processors.flow.compiled import Flow, Limits
from processors.step import Batch, Intake, Leave, Signal, State, Stepped
from processors.steps.decode import KEY_BYTES
from schemas import pending
from schemas.headers import UNREADABLE
from schemas.positions import Source
from schemas.vocabulary import Reason, Verdict
from streams.letters import KEPT_BYTES, KEPT_KEY_BYTES
from streams.outcomes import Endings, endings
from streams.prepare import prepare
from streams.room import Rooms, size
from streams.stamps import Stamped
from streams.stepping import Fate, Journey
from streams.work import Span, Work
from tests.simulation.small import World, running, small_flow, until

LIMITS = Limits(retries_s=(1.0, 1.0), value_bytes=300_000)
ROOM = 500_000
SIZES = st.sampled_from([0, 1, 4_096, 4_097, KEY_BYTES, KEY_BYTES + 1, 299_999, 300_001, 468_000, 499_000, 600_000, 2_000_000])
NAMES = st.sampled_from(["ce_id", "ce_subject", "traceparent", "x", "y" * 70_000])


@dataclass(frozen=True)
class Event:
    """Sizes of what comes with one event, and of what the steps made of it."""

    key: int
    value: int
    headers: Sequence[tuple[str, int]]
    id: int
    looked_up: int
    model: int
    sentence: int
    rule: int
    verdict: Verdict


EVENTS = st.builds(
    Event, SIZES, SIZES, st.lists(st.tuples(NAMES, SIZES), max_size=4), SIZES, SIZES, SIZES, SIZES, SIZES,
    st.sampled_from([verdict for verdict in Verdict if verdict is not Verdict.SUPERSEDED]),
)  # fmt: skip


def journey_of(flow: Flow, events: Sequence[Event]) -> Journey:
    n = len(events)
    headers: Sequence[Headers] = [[(name, b"h" * long) for name, long in event.headers] for event in events]
    intake = Intake((Source("in", 1),), np.zeros(n, np.int16), np.arange(n), np.zeros(n, np.int64), [b"k" * event.key for event in events],
                    [b"v" * event.value for event in events], headers, 0)  # fmt: skip
    journey = Journey(flow, intake)
    for verdict in Verdict:
        rows = np.array([row for row, event in enumerate(events) if event.verdict is verdict], np.int64)
        mine = [events[row] for row in rows]
        texts = {"id": "id", "looked_up": "plane", "model": "model"}
        columns = {column: pa.array(["t" * getattr(event, name) for event in mine], pa.string()) for name, column in texts.items()}
        batch = Batch(pa.RecordBatch.from_pydict({"n": pa.array([1] * len(mine), pa.int64()), **columns}), rows, intake)
        rule = "r" * max((event.rule for event in mine), default=0)
        reason = Reason.NONE if verdict is Verdict.RESULT else Reason.POLICY
        journey.fates.append(Fate(batch, 1, verdict, reason, rule, sentences=["s" * event.sentence for event in mine]))
    return journey


class Written(NamedTuple):
    """One record."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers

    @property
    def told(self) -> Mapping[str, bytes]:
        """Its headers by name."""
        return {name: value or b"" for name, value in self.headers}

    @property
    def size(self) -> int:
        """Of the record."""
        return size(self.key, self.value, self.headers)


def written(events: Sequence[Event], room: int = ROOM) -> tuple[Endings, list[Written]]:
    flow = small_flow(limits=LIMITS)
    made = endings(journey_of(flow, events), flow.details, 0, Rooms(dict.fromkeys(flow.topics.written, room)))
    records = [Written(each.topic, *row) for each in made.outgoing for row in zip(each.keys, each.values, each.headers or [], strict=True)]
    return made, records


SMALL = Event(1, 1, [], 1, 1, 1, 1, 1, Verdict.RESULT)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(EVENTS, min_size=1, max_size=4))
@example([replace(SMALL, verdict=verdict, headers=[("x", 2_000_000)]) for verdict in Verdict if verdict is not Verdict.SUPERSEDED])
@example([replace(SMALL, verdict=verdict, looked_up=2_000_000) for verdict in Verdict if verdict is not Verdict.SUPERSEDED])
def test_every_record_fits_its_topic_and_every_row_has_one_leaf(events: Sequence[Event]) -> None:
    made, records = written(events)
    assert max((record.size for record in records), default=0) <= ROOM
    assert all(kind.verdict in list(Verdict) for kind in made.kinds)
    assert set(made.kind.tolist()) == set(range(len(made.kinds)))
    assert len(records) == sum(map(bool, made.outputs)) == sum(event.verdict is not Verdict.FILTERED for event in events)
    assert max(map(len, made.event_ids)) <= 1_000
    assert max(max(len(kind.rule), len(kind.model)) for kind in made.kinds) <= 1_000


@pytest.mark.parametrize("verdict", [Verdict.RESULT, Verdict.REVIEW, Verdict.RETRY])
def test_a_row_whose_record_its_topic_does_not_take_is_a_dead_letter_and_the_others_are_not(verdict: Verdict) -> None:
    large = replace(SMALL, verdict=verdict, looked_up=600_000)
    made, records = written([replace(SMALL, verdict=verdict), large, replace(SMALL, verdict=verdict)])
    assert [made.kind_of(row).verdict for row in range(3)] == [verdict, Verdict.DEAD_LETTER, verdict]
    assert made.kind_of(1).reason == Reason.TOO_LARGE
    (letter,) = [record for record in records if record.topic == "f.dead"]
    assert (letter.key, letter.value) == (b"k", b"v")
    assert letter.told["ce_weftdetail"].startswith(f"its {verdict} would be larger than the {ROOM} bytes".encode())


def test_in_a_letter_a_large_key_value_and_headers_are_cut_and_said() -> None:
    event = Event(2_000_000, 2_000_000, [("first", 10), ("x", 2_000_000)], 1, 1, 1, 1, 1, Verdict.DEAD_LETTER)
    _, (letter,) = written([event])
    told = letter.told
    assert (letter.key, letter.value) == (b"k" * KEPT_KEY_BYTES, b"v" * KEPT_BYTES)
    assert (told["ce_weftkeysize"], told["ce_weftsize"]) == (b"2000000", b"2000000")
    assert told["ce_weftkeysha256"] == hashlib.sha256(b"k" * 2_000_000).hexdigest().encode()
    assert (told["first"], told.get("x")) == (b"h" * 10, None)
    assert (told["ce_weftheaders"], told["ce_weftheaderssize"]) == (b"cut", b"2000016")


def test_a_letter_fits_also_where_its_topic_takes_next_to_nothing() -> None:
    event = Event(100_000, 299_000, [("x", 50_000)], 1, 1, 1, 2_000, 1_000, Verdict.DEAD_LETTER)
    _, (letter,) = written([event], room=20_000)
    assert letter.size <= 20_000
    assert letter.told["ce_weftsize"] == b"299000"


class World500(World):
    """Topics that take half a megabyte, and one event among others that nobody could copy."""

    def __init__(self) -> None:
        super().__init__()
        for name in small_flow().topics.written:
            self.broker.topic(name).max_message_bytes = ROOM

    async def put(self, key: bytes, value: bytes, headers: list[tuple[str, bytes | None]]) -> None:
        await MemoryPublisher(self.broker).publish(Outgoing("in", [key], [value], [headers], partition=1))

    def desk(self) -> Desk:
        flow = small_flow(limits=LIMITS)
        reader, publisher = self.lane(flow)._parts.reader, MemoryPublisher(self.broker)
        return Desk((flow,), reader, publisher, Subject("f", flow.topics, "weft", ()), _plain, _plain)


def _plain(value: bytes, headers: Headers = ()) -> Mapping[str, Any]:
    return {"text": value.decode()}


@pytest.mark.parametrize("verdict", [None, Verdict.REVIEW, Verdict.RETRY, Verdict.QUARANTINE, Verdict.DEAD_LETTER])
async def test_a_lane_gets_past_headers_and_keys_that_no_topic_takes(verdict: Verdict | None) -> None:
    world = World500()
    await world.send(range(20, 24))
    await world.put(b"k" * 3_000_000, b"25", [])
    await world.put(b"k", b"26", [("x", b"h" * 3_000_000)])
    await world.send(range(30, 33))
    flow = small_flow(lambda n, attempt: verdict if n in (25, 26) else None, limits=LIMITS)
    async with running(world.lane(flow)) as lane:
        await until(lane.idle)
    terminal = await world.terminal()
    assert (len(terminal), set(terminal.values())) == (9, {1})
    assert len(await world.values("out")) == (
        8 if verdict is None else 7
    )  # a result does not carry such headers on, and is none with such a key


async def test_a_letter_whose_headers_were_cut_is_redriven_with_all_of_them_if_they_can_be_sent() -> None:
    world = World500()
    await world.put(b"k", b"x" + b"1" * 252_000, [("x", b"h" * 249_000)])
    await world.put(b"k", b"y", [("x", b"h" * 600_000)])
    await world.put(b"k" * 100_000, b"z", [])
    async with running(world.lane(small_flow(limits=LIMITS))) as lane:
        await until(lane.idle)
    desk = world.desk()
    found: list[Letter] = sorted([letter async for letter in letters(desk)], key=lambda letter: letter.root)
    assert [(letter.lacks_headers, letter.key_size) for letter in found] == [(True, None), (True, None), (False, 100_000)]
    world.broker.topic("f.resume").max_message_bytes = 2 * ROOM
    told = await redrive(desk, found, timeout_s=0)
    assert [one.outcome for one in told] == [WAITING, REFUSED, REFUSED]
    (sent,) = [pending.decode(value or b"") for value in await world.values("f.resume")]
    assert sent.headers == [("x", b"h" * 249_000)]


@pytest.mark.parametrize(("long", "count", "told"), [(10, 3, 3), (2_000_000, 3, 3), (10, 5_000, 625)])
def test_what_a_step_signals_has_room_in_a_block(long: int, count: int, told: int) -> None:
    flow, source = small_flow(), Source("in", 1)
    work = Work(0, [], {source: Span(0, 1)}, 0, {})
    none = np.zeros(0, np.int64)
    journey = Journey(flow, Intake((source,), np.zeros(0, np.int16), none, none, [], [], [], 0))
    journey.signals += [Signal(source, "drift", "n", "\ud800" + "s" * long, {"psi": 1.0})] * count
    work.journeys.append(journey)
    signals = json.loads(prepare(work, flow.details, 0).contents[source].signals)
    assert len(signals) == told
    assert signals[0]["sentence"].startswith("?s")


def test_a_letter_says_that_the_headers_could_not_be_read() -> None:
    flow = small_flow(limits=LIMITS)
    intake = Intake(
        (Source("in", 1),), np.zeros(1, np.int16), np.zeros(1, np.int64), np.zeros(1, np.int64), [b"k"], [b"v"], [[UNREADABLE]], 0
    )
    batch = Batch(pa.RecordBatch.from_pydict({"id": ["e"]}), np.zeros(1, np.int64), intake)
    made = endings(Journey(flow, intake, [Fate(batch, 0, Verdict.DEAD_LETTER, Reason.NOT_JSON)]), flow.details, 0)
    stamped: Stamped = [list(each) for each in made.outgoing[0].headers or []]
    assert UNREADABLE in stamped[0]


@dataclass
class Timed:
    """Gives each row a time as `of` says."""

    times: pa.Array
    name: str = "timed"
    stateful: bool = False

    async def run(self, batch: Batch, state: State) -> Stepped:
        leaves: tuple[Leave, ...] = ()
        return Stepped(batch.with_column("at", self.times.take(pa.array([0] * len(batch)))), leaves, state)


TIMES = [
    ("s", 1, "1970-01-01T00:00:01Z"),
    ("ms", 1_001, "1970-01-01T00:00:01.001Z"),
    ("us", 1_001_001, "1970-01-01T00:00:01.001001Z"),
    ("ns", 1_001_001_001, "1970-01-01T00:00:01.001001001Z"),
    ("us", 2**63 - 1, None),
    ("ms", -(2**63) + 1, None),
    ("ms", -62_198_755_200_000, None),  # the year -1
    ("us", None, None),
]


@pytest.mark.parametrize(("unit", "count", "text"), TIMES)
async def test_the_time_of_an_outcome_is_as_precise_as_the_column(unit: str, count: int | None, text: str | None) -> None:
    flow = small_flow()
    flow = replace(flow, time_column="at", steps=(flow.steps[0], Timed(pa.array([count], pa.timestamp(unit, tz="UTC")))), result=NoTimes())
    world = World()
    await world.send([1])
    async with running(world.lane(replace(flow, details=NoTimes()))) as lane:
        await until(lane.idle)
    (headers,) = [headers for part in await world.records("out") for headers in part.headers or []]
    assert dict(headers).get("ce_time") == (None if text is None else text.encode())


class NoTimes:
    """Writes nothing."""

    content_type, schema_json = "application/json", '"string"'

    def encode(self, columns: pa.RecordBatch) -> Sequence[bytes]:
        return [b"{}"] * columns.num_rows
