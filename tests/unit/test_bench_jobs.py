"""The job of the columnar loop is that of the row-wise one, which all peers share: on real flights, on hostile and on random records."""

import io
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import pytest
from fastavro import schemaless_reader
from hypothesis import given, settings
from hypothesis import strategies as st

from ops.bench.ground import departures
from ops.bench.peers.columns import Columns
from ops.bench.peers.job import Done, Job, found, keys
from ops.examples import flights
from ops.examples.hostile import hostile
from processors.flow.project import ROOT
from schemas.codecs.single_object import SingleObject
from schemas.contracts import built_in

SCHEMAS = ROOT / "schemas" / "avro"
TOPIC = "flights"


@cache
def held() -> Mapping[str, bytes]:
    return dict(flights.lookups())


@cache
def real(count: int) -> Sequence[bytes]:
    return [value for outgoing in departures(count) for value in outgoing.values if value is not None]


def by_row(values: Sequence[bytes | None]) -> tuple[list[Done], Job]:
    job = Job(SCHEMAS, "some", TOPIC)
    rows = [job.frame.decode(value) for value in values]
    wanted = list({key for row in rows if row is not None for key in keys(row)})
    known = found(wanted, map(held().get, wanted))
    return [job.one(f"{TOPIC}/0/{at}", value, row, known) for at, (value, row) in enumerate(zip(values, rows, strict=True))], job


def by_column(values: Sequence[bytes | None]) -> tuple[list[Done], Columns]:
    columns = Columns(SCHEMAS, "some", TOPIC, lambda wanted: [held().get(key) for key in wanted])
    return columns.work(values, [f"{TOPIC}/0/{at}" for at in range(len(values))]), columns


def same(values: Sequence[bytes | None]) -> None:
    """All but the last bits of a score, and what is made of them: NumPy's exp is another one than C's."""
    (rows, job), (columns, other) = by_row(values), by_column(values)
    for mine, theirs in zip(rows, columns, strict=True):
        assert mine.verdict == theirs.verdict, (mine, theirs)
        assert mine.headers == theirs.headers
        assert mine.entry[:6] == theirs.entry[:6]
        assert mine.entry[7] == pytest.approx(theirs.entry[7], abs=1e-12)
        if mine.verdict == "result":
            one, two = read(job, mine), read(job, theirs)
            assert one.pop("score") == pytest.approx(two.pop("score"), abs=1e-12)
            assert one == two
        else:
            assert mine.value == theirs.value
            assert mine.entry[6] == theirs.entry[6]
    assert {name: [*counts] for name, counts in other.histograms.items()} == job.histograms


def read(job: Job, done: Done) -> dict[str, Any]:
    assert done.value.startswith(job.frame.result_prefix)
    datum = schemaless_reader(io.BytesIO(done.value[10:]), job.frame.result, None)
    assert isinstance(datum, dict)
    return datum


def test_both_do_the_same_to_real_flights() -> None:
    values = real(5_000)
    same(values)
    verdicts = [done.verdict for done in by_row(values)[0]]
    assert {"result", "filtered", "review"} <= set(verdicts)
    assert any(done.entry[3] == "private-plane" for done in by_row(values)[0])


def test_both_do_the_same_to_hostile_records() -> None:
    bad = [one.value for one in hostile(built_in()["flights.Departure"], 1_048_576)]
    same([*real(200), *bad, *real(200)])
    for value in bad:
        same([value])


@st.composite
def rows(draw: st.DrawFn) -> bytes:
    """Departures as far from the rules as their schema allows."""
    codec = SingleObject(built_in()["flights.Departure"])
    moment = st.integers(946_684_700_000, 4_102_444_900_000)
    texts = st.sampled_from(["EWR", "JFK", "UA", "N14228", "2013-01-01T10:00:00Z", "UA-1545-EWR-20130101T0515", "EWR\n", "", "é"])
    minutes = st.one_of(
        st.sampled_from([-121.0, -120.0, 0.0, 600.0, 600.5, 2000.0, 2001.0, float("nan"), float("inf")]), st.floats(-10, 700)
    )
    datum = {
        "flight_id": draw(st.one_of(st.just("UA-1545-EWR-20130101T0515"), texts)),
        "scheduled_at": draw(moment),
        "departed_at": draw(st.one_of(st.none(), moment)),
        "dep_delay": draw(st.one_of(st.none(), minutes)),
        "carrier": draw(st.one_of(st.just("UA"), texts)),
        "flight": draw(st.sampled_from([0, 1, 9999, 10_000])),
        "tailnum": draw(st.one_of(st.none(), texts)),
        "origin": draw(st.sampled_from(["EWR", "JFK", "IAH"])),
        "dest": draw(st.sampled_from(["EWR", "IAH", "iah"])),
        "distance": draw(st.sampled_from([0.0, 1.0, 49.0, 50.0, 1400.0, 12000.0, 12001.0])),
        "time_hour": draw(st.one_of(st.just("2013-01-01T10:00:00Z"), texts)),
    }
    return codec.encode(datum)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.one_of(rows(), st.binary(max_size=60), rows().map(lambda value: value[:-3])), min_size=1, max_size=12))
def test_both_do_the_same_to_random_records(values: list[bytes]) -> None:
    same(values)
