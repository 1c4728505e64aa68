"""The example's events are the year as it was, and the hostile ones end as they are labelled."""

from collections import Counter

import pyarrow as pa
import pytest

from connectors.log import Outgoing
from ops.examples import flights
from ops.examples.hostile import Hostile, hostile
from ops.flow.events import Sample
from ops.flow.offline import FixedScore, judge, parts
from processors.flow.check import check
from processors.flow.compile import compile_flow
from processors.flow.project import FolderProject
from schemas.contracts import built_in
from schemas.headers import CE_ID, CE_TIME, CE_TYPE
from schemas.vocabulary import Verdict
from serving.training.flights import tables
from tests.models import trained

CONTRACT = built_in()[flights.CONTRACT]
VALUE_BYTES = 1_048_576


@pytest.fixture(scope="module")
def departures() -> pa.Table:
    return flights.departures()


def test_every_departure_of_the_year_is_there_once_and_in_time_order(departures: pa.Table) -> None:
    assert len(departures) == 336_776
    assert len(set(departures["flight_id"].to_pylist())) == 336_776
    times = departures["scheduled_at"].to_numpy()
    assert (times[1:] >= times[:-1]).all()
    assert departures["departed_at"].null_count == departures["dep_delay"].null_count == 8_255
    first = departures.slice(0, 1).to_pylist()[0]
    assert (first["flight_id"], first["dep_delay"], first["distance"]) == ("UA-1545-EWR-20130101T0515", 2.0, 1400.0)
    assert (first["departed_at"] - first["scheduled_at"]).total_seconds() == 120


def test_an_event_is_a_cloud_event_keyed_by_its_aeroplane(departures: pa.Table) -> None:
    chunks: list[Outgoing] = list(flights.events(departures.slice(0, 25_000), CONTRACT, "avro-single-object", "t"))
    assert [len(chunk.values) for chunk in chunks] == [20_000, 5_000]
    assert chunks[0].headers is not None
    told = dict(chunks[0].headers[0])
    assert (told[CE_TYPE], told[CE_ID], told[CE_TIME]) == (b"flights.Departure", b"UA-1545-EWR-20130101T0515", b"2013-01-01T10:15:00Z")
    assert chunks[0].keys[0] == b"N14228"
    assert None not in chunks[0].keys


def test_the_lookups_are_all_planes_and_all_hours_of_weather() -> None:
    entries = dict(flights.lookups())
    assert Counter(key.partition(":")[0] for key in entries) == {"plane": 3_322, "weather": 26_115}
    assert entries["plane:N14228"] == b'{"year":1999,"seats":149,"engines":2}'
    assert set(tables().weather["origin"].unique().to_pylist()) == {"EWR", "JFK", "LGA"}


async def test_each_hostile_record_ends_as_it_is_labelled() -> None:
    trained()
    project = FolderProject()
    records = hostile(CONTRACT, VALUE_BYTES)
    samples = [Sample(line, one.key, one.value, one.headers or []) for line, one in enumerate(records)]
    flow = compile_flow(project, "departure-delays", parts(project, FixedScore(0.5), dict(flights.lookups())))
    judged = await judge(flow, check(project, "departure-delays").sound(), samples)
    found = {records[one.line].label: (one.verdict, one.reason) for one in judged}
    assert found == {one.label: (one.verdict, one.reason) for one in records}


def test_the_handful_holds_every_kind_of_badness() -> None:
    records = hostile(CONTRACT, VALUE_BYTES)
    assert len({one.label for one in records}) == len(records)
    by_label: dict[str, Hostile] = {one.label: one for one in records}
    assert len(by_label["as large as a value may be"].value or b"") == VALUE_BYTES
    assert len(by_label["one byte too large"].value or b"") == VALUE_BYTES + 1
    assert by_label["no headers"].headers == []
    assert by_label["an event"].value == by_label["a second event with the same id"].value
    assert {one.verdict for one in records} == {
        Verdict.RESULT, Verdict.DEAD_LETTER, Verdict.FILTERED, Verdict.QUARANTINE, Verdict.REVIEW,
    }  # fmt: skip
