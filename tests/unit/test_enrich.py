"""Enrich: one question per batch, a bounded memory, and what becomes of rows without an answer."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from connectors.memory.lookup import MemoryLookup
from processors.lookups.cache import Cache
from processors.plugins.case import batch_of, types
from processors.step import Stepped
from processors.steps.enrich import COUNTS
from schemas.errors import UnreachableError
from schemas.vocabulary import Reason, Verdict
from tests.contract.step_examples import Built

TOLD = {"lookup": "plane:{tailnum}", "schema": "flights.Plane", "into": "plane", "missing": "default"}
PLANES = {"plane:N1": b'{"year": 2001, "seats": 5, "engines": 1}', "plane:N2": b'{"seats": 7, "engines": 3, "maker": "B"}'}


class Asked(MemoryLookup):
    """Remembers what it was asked."""

    def __init__(self, entries: dict[str, bytes]) -> None:
        super().__init__(entries.items())
        self.asked: list[list[str]] = []

    async def mget(self, keys: Sequence[str]) -> Sequence[bytes | None]:
        """As the twin does."""
        self.asked.append(list(keys))
        return await super().mget(keys)


class World:
    """One step, its lookup and a clock that stands still until told."""

    def __init__(self, entries: dict[str, bytes] | None = None, columns: pa.RecordBatch | None = None, **told: Any) -> None:
        self.lookup = Asked(PLANES if entries is None else entries)
        self.now_s = 100.0
        columns = columns if columns is not None else pa.RecordBatch.from_pydict({"tailnum": ["N1"]})
        self.built = Built("enrich", {**TOLD, **told}, types(columns))
        self.step = self.built.step(self.lookup, lambda: self.now_s)

    async def run(self, *tails: str | None) -> Stepped:
        """The step on these planes."""
        return await self.step.run(batch_of(pa.RecordBatch.from_pydict({"tailnum": pa.array(tails, pa.string())})), {})


async def test_a_row_gets_the_fields_of_its_object_and_whether_there_was_one() -> None:
    stepped = await World().run("N2", "N1", "N9", None, "N1")
    assert stepped.batch.columns.to_pylist() == [
        {"tailnum": "N2", "plane_year": None, "plane_seats": 7, "plane_engines": 3, "plane_found": True},
        {"tailnum": "N1", "plane_year": 2001, "plane_seats": 5, "plane_engines": 1, "plane_found": True},
        {"tailnum": "N9", "plane_year": None, "plane_seats": 149, "plane_engines": 2, "plane_found": False},
        {"tailnum": None, "plane_year": None, "plane_seats": 149, "plane_engines": 2, "plane_found": False},
        {"tailnum": "N1", "plane_year": 2001, "plane_seats": 5, "plane_engines": 1, "plane_found": True},
    ]
    assert stepped.counts == dict(zip(COUNTS, (5.0, 3.0, 3.0, 2.0, 0.0), strict=True))


async def test_different_keys_are_asked_once_and_only_if_not_known() -> None:
    world = World()
    await world.run("N1", "N2", "N1")
    await world.run("N2", "N9")
    stepped = await world.run("N9", "N1", None)
    assert world.lookup.asked == [["plane:N1", "plane:N2"], ["plane:N9"]]
    assert stepped.counts["lookup_asked_keys"] == 0


async def test_an_object_older_than_fresh_is_asked_for_again() -> None:
    world = World(cache={"fresh": "5m"})
    await world.run("N1")
    world.lookup.entries["plane:N1"] = b'{"year": 2002}'
    world.now_s += 299
    assert (await world.run("N1")).batch.columns.column("plane_year").to_pylist() == [2001]
    world.now_s += 1
    assert (await world.run("N1")).batch.columns.column("plane_year").to_pylist() == [2002]


@pytest.mark.parametrize("missing", ["dead-letter", "quarantine", "review"])
async def test_a_row_without_an_object_leaves_as_the_flow_says(missing: str) -> None:
    stepped = await World(missing=missing).run("N1", "N9", None)
    (leave,) = stepped.leaves
    assert (leave.rows.tolist(), leave.verdict, leave.reason, leave.rule) == ([1, 2], Verdict(missing), Reason.MISSING, "plane")
    assert leave.sentences == ["the lookup has no fitting `plane:N9`", "a part of the key of `plane` is null"]


@pytest.mark.parametrize(
    "value",
    [b"", b"{", b"[]", b"null", b'{"seats": "7"}', b'{"seats": null}', b'{"seats": 2147483648}', b'{"seats": true}', b'{"seats": 7.5}',
     b'{"year": 99999999999999999999}', b"\xff", b'{"year": "\\ud800"}', b'{"seats": 7, "more": "' + b"m" * 65_536 + b'"}'],
)  # fmt: skip
async def test_an_object_that_does_not_fit_its_contract_counts_as_missing(value: bytes) -> None:
    stepped = await World({"plane:N1": value}).run("N1")
    assert stepped.batch.columns.column("plane_found").to_pylist() == [False]
    assert (stepped.counts["lookup_malformed_objects"], stepped.counts["lookup_missing_rows"]) == (1, 1)


async def test_numbers_beyond_what_a_double_holds_are_read_as_the_nearest() -> None:
    columns = pa.RecordBatch.from_pydict({"origin": ["EWR"], "hour": pa.array([7], pa.int32())})
    told = {"lookup": "weather:{origin}:{hour}", "schema": "flights.Weather", "into": "w"}
    world = World({"weather:EWR:7": b'{"temp": 9007199254740993, "precip": 1}'}, columns, **told)
    stepped = await world.step.run(batch_of(columns), {})
    assert stepped.batch.columns.to_pylist()[0]["w_temp"] == 9007199254740992.0
    assert world.lookup.asked == [["weather:EWR:7"]]


async def test_a_key_with_a_null_part_is_not_asked_for() -> None:
    columns = pa.RecordBatch.from_pydict({"a": ["x", None, "y"], "b": [None, "x", "y"]})
    world = World({"k:y-y": b"{}"}, columns, lookup="k:{a}-{b}")
    stepped = await world.step.run(batch_of(columns), {})
    assert world.lookup.asked == [["k:y-y"]]
    assert stepped.batch.columns.column("plane_found").to_pylist() == [False, False, True]


async def test_an_unreachable_store_is_said_so_that_the_lane_waits() -> None:
    world = World()
    world.lookup.down = True
    with pytest.raises(UnreachableError):
        await world.run("N1")
    assert world.built.plan.pauses


async def test_more_different_keys_than_the_cache_holds_still_get_their_objects() -> None:
    entries = {f"plane:N{row}": b'{"seats": %d}' % row for row in range(1_000)}
    world = World(entries, cache={"entries": 10})
    for _ in range(3):
        stepped = await world.run(*(f"N{row}" for row in range(1_000)))
        assert stepped.batch.columns.column("plane_seats").to_pylist() == list(range(1_000))


def test_the_cache_is_bounded_and_keeps_the_last() -> None:
    schema = pa.schema([("x", pa.int64())])
    cache = Cache(schema, 10, 60.0)
    for start in range(0, 100, 3):
        cache.put([str(start + row) for row in range(3)], pa.record_batch({"x": [start, start + 1, start + 2]}), 0.0)
        assert len(cache) <= 10
    parts, at = cache.get(["101", "0"], 1.0)
    rows = pa.concat_batches(parts)
    assert at[1] == -1
    assert rows.column("x")[int(at[0])].as_py() == 101
    assert (cache.get(["101"], 60.0)[1] == -1).all()


def test_wrong_words_are_mistakes() -> None:
    def said(columns: dict[str, pa.DataType] | None = None, **told: Any) -> list[str]:
        return [mistake.sentence for mistake in Built("enrich", {**TOLD, **told}, columns or {"tailnum": pa.string()}).mistakes]

    assert said(lookup="plane") == ["a lookup's key needs a column in braces, e.g. plane:{tailnum}"]
    assert said(lookup="{tailnum}}") == ["a brace here has no partner, or what it holds is no column's name"]
    assert said(lookup="{tail}") == ["there is no column `tail` here"]
    assert said({"tailnum": pa.float64()}) == ["`tailnum` is double; a key is made of strings and integers"]
    assert said(schema="flights.Plan") == ["there is no contract `flights.Plan` in schemas/"]
    assert said({"tailnum": pa.string(), "plane_year": pa.int32()}) == ["there is a column `plane_year` already"]
    (sentence,) = said(schema="flights.DelayDecision")
    assert "its field `scheduled_at` is timestamp[ms, tz=UTC]; lookups read booleans, numbers and strings" in sentence


async def test_answers_that_come_late_do_not_mix_batches_up() -> None:
    world = World({f"plane:N{row}": b'{"seats": %d}' % row for row in range(50)}, cache={"entries": 4})
    chance = np.random.default_rng(3)
    for _ in range(50):
        rows = chance.integers(0, 50, 8).tolist()
        stepped = await world.run(*(f"N{row}" for row in rows))
        assert stepped.batch.columns.column("plane_seats").to_pylist() == rows
