"""The watch step and its suite: what is sampled, and which mistakes of a suite a check finds."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from connectors.memory.lookup import MemoryLookup
from connectors.memory.samples import MemorySamples
from ops.flow.offline import FixedScore
from processors.flow.check import check
from processors.flow.compile import compile_flow
from processors.flow.plan import Mistake, Parts
from processors.plugins.case import batch_of, types
from processors.step import Batch
from processors.steps.watch import Watch, sampled
from tests.contract.step_examples import Built, departures
from tests.unit.flow_project import small, write

NOT_NULL: dict[str, Any] = {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "dep_delay"}}


def suite(*expectations: Any) -> str:
    return json.dumps({"name": "s", "expectations": expectations, "meta": {}})


def flow_mistakes(folder: Path, text: str) -> tuple[Mistake, ...]:
    project = small(folder, ("  - infer:", "  - watch: {suite: s, action: pause}\n  - infer:"))
    write(folder, {"suites/s.json": text})
    return check(project, "small").mistakes


async def test_a_sample_is_a_share_of_the_rows_and_holds_the_columns_of_the_suite_alone() -> None:
    built = Built("watch", {"suite": "s", "sample": 0.1}, types(departures()), {"suites/s.json": suite(NOT_NULL)})
    samples = MemorySamples()
    step = built.plan.build(Parts(MemoryLookup(), FixedScore(0.0), lambda: 0.0, built.project, samples, "f@1"))
    batch = batch_of(departures(20_000))
    stepped = await step.run(batch, {})
    (taken,) = samples.held
    assert taken.columns.schema.names == ["dep_delay"]
    assert 1_700 < len(taken.columns) < 2_300
    assert stepped.counts == {"watch_sampled_rows": len(taken.columns), "watch_dropped_rows": 0}
    assert (taken.flow, taken.step) == ("f@1", "watch-s")


async def test_rows_that_nobody_takes_are_counted_and_the_batch_goes_on() -> None:
    built = Built("watch", {"suite": "s", "sample": 1.0}, types(departures()), {"suites/s.json": suite(NOT_NULL)})
    step = built.plan.build(Parts(MemoryLookup(), FixedScore(0.0), lambda: 0.0, built.project, MemorySamples(room=100)))
    batch = batch_of(departures())
    stepped = await step.run(batch, {})
    assert stepped.batch is batch
    assert stepped.counts == {"watch_sampled_rows": 1_500, "watch_dropped_rows": 1_400}


def test_each_partition_and_stretch_of_offsets_is_sampled_alike() -> None:
    batch = batch_of(departures(30_000))
    rows = sampled(batch, 0.05)
    for part in (batch.intake.source[batch.origin[rows]] == 0, rows < 10_000, rows >= 20_000):
        assert 400 < part.sum() < 600
    cut = Batch(batch.columns.slice(100), batch.origin[100:], batch.intake)
    assert (batch.origin[rows[rows >= 100]] == cut.origin[sampled(cut, 0.05)]).all(), "a row is chosen by its position alone"


def test_a_flow_gives_its_watch_step_the_name_of_its_version(tmp_path: Path) -> None:
    assert flow_mistakes(tmp_path, suite(NOT_NULL)) == ()
    project = small(tmp_path, ("  - infer:", "  - watch: {suite: s}\n  - infer:"))
    flow = compile_flow(project, "small", Parts(MemoryLookup(), FixedScore(0.0), lambda: 0.0, project))
    (step,) = [step for step in flow.steps if isinstance(step, Watch)]
    assert (step.flow, step.columns) == ("small@1.0.0", ("dep_delay",))


@pytest.mark.parametrize(
    ("change", "sentence", "hint"),
    [
        ({"type": "expect_column_values_to_not_be_nul"}, "there is no expectation", "did you mean `expect_column_values_to_not_be_null`?"),
        ({"type": "unexpected_rows_expectation"}, "there is no expectation", ""),
        ({"kwargs": {"column": "dep_delai"}}, "there is no column `dep_delai` here", "did you mean `dep_delay`?"),
        ({"kwargs": {}}, "the argument `column` is missing here", ""),
        ({"kwargs": {"column": "dep_delay", "mostli": 1}}, "has no argument `mostli`", "did you mean `mostly`?"),
        ({"kwargs": {"column": "dep_delay", "mostly": 2}}, "`mostly` must be a number from 0 to 1", ""),
        ({"kwargs": {"column": "dep_delay", "mostly": {"$PARAMETER": "p"}}}, "`mostly` must be a number", ""),
        ({"kwargs": {"column": "dep_delay", "row_condition": "1"}}, "`row_condition` is not evaluated here", "say `when`"),
        ({"severity": "hard"}, "`hard` is no severity", "valid: `critical`"),
        ({"type": 7}, "an expectation is a map", ""),
        (
            {"type": "expect_column_max_to_be_between", "kwargs": {"column": "scheduled_at", "max_value": 7}},
            "`scheduled_at` is a time",
            "write it like",
        ),
        (
            {"type": "expect_column_max_to_be_between", "kwargs": {"column": "dep_delay", "max_value": "x"}},
            "`dep_delay` is double; `max_value` must be a number",
            "",
        ),
        (
            {"type": "expect_compound_columns_to_be_unique", "kwargs": {"column_list": ["dep_delay", ["x"]]}},
            "there is no column `['x']` here",
            "",
        ),
    ],
)
def test_a_mistake_in_a_suite_is_told_in_its_place(tmp_path: Path, change: dict[str, Any], sentence: str, hint: str) -> None:
    (found,) = flow_mistakes(tmp_path, suite(NOT_NULL, NOT_NULL | change))
    assert found.file.endswith("suites/s.json")
    assert sentence in found.sentence
    assert found.hint.startswith(hint)


@pytest.mark.parametrize("text", ["[]", "{}", '{"expectations": []}', '{"expectations": 7}', '{"expectations": [7]}', "{", '"'])
def test_what_is_no_suite_is_a_mistake(tmp_path: Path, text: str) -> None:
    assert flow_mistakes(tmp_path, text)


def test_a_suite_that_is_not_there_is_named_with_the_nearest(tmp_path: Path) -> None:
    project = small(tmp_path, ("  - infer:", "  - watch: {suite: departure}\n  - infer:"))
    (found,) = check(project, "small").mistakes
    assert (found.sentence, found.hint) == ("there is no file suites/departure.json", "did you mean `departures`?")


def test_times_in_a_suite_get_the_time_zone_of_their_column() -> None:
    told = suite({"type": "expect_column_min_to_be_between", "kwargs": {"column": "at", "min_value": "2013-01-01"}})
    for type_, bound in ((pa.timestamp("ms", "UTC"), "2013-01-01T00:00:00+00:00"), (pa.timestamp("ms"), "2013-01-01T00:00:00")):
        built = Built("watch", {"suite": "s"}, {"at": type_}, {"suites/s.json": told})
        step = built.step()
        assert isinstance(step, Watch)
        assert step.suite.expectations[0].kwargs["min_value"] == bound


def test_a_suite_about_rows_alone_still_gets_rows() -> None:
    told = suite({"type": "expect_table_row_count_to_be_between", "kwargs": {"min_value": 1}})
    built = Built("watch", {"suite": "s"}, types(departures()), {"suites/s.json": told})
    assert built.plan.needs == frozenset(types(departures()))


def test_a_batch_without_rows_of_the_sample_sends_nothing() -> None:
    batch = batch_of(departures(3))
    assert len(sampled(batch, 1e-9)) == 0
    assert np.array_equal(sampled(batch, 1.0), [0, 1, 2])
