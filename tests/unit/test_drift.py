"""Drift: two votes over histograms, windows per partition, and state that is adopted, never changed."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

from processors.drift import distance
from processors.drift.reference import Column, Reference, coarse, codes, describe
from processors.plugins.case import SOURCES, batch_of
from processors.step import Signal, State, Stepped
from tests.contract.step_examples import Built, reference

CHANCE = np.random.default_rng(11)
JANUARY = pa.array(CHANCE.normal(0.0, 10.0, 27_000))


class World:
    """The step, fed with values."""

    def __init__(self, window: int = 500, before: pa.Array = JANUARY) -> None:
        told = {"columns": ["dep_delay"], "reference": "r", "window": window}
        self.step = Built("drift", told, {"dep_delay": pa.float64()}, {"references/r.json": reference(before)}).step()

    async def run(self, values: npt.NDArray[np.float64] | pa.Array, state: State | None = None) -> Stepped:
        """Over a batch whose rows come from three partitions in turn."""
        return await self.step.run(batch_of(pa.record_batch({"dep_delay": pa.array(values)})), state or {})


@pytest.mark.parametrize(("degrees", "table"), [(1, 10.828), (5, 20.515), (9, 27.877), (30, 59.703), (100, 149.449)])
def test_the_chi_squared_quantile_is_near_the_printed_table(degrees: int, table: float) -> None:
    assert distance.chi_squared_quantile(0.999, degrees) == pytest.approx(table, rel=0.035)


@pytest.mark.parametrize(("scaled", "table"), [(0.5, 0.9639), (1.0, 0.2700), (1.36, 0.0494), (1.63, 0.0098), (1.95, 0.0010)])
def test_the_kolmogorov_distribution_is_near_the_printed_table(scaled: float, table: float) -> None:
    rows = 10**8  # so large that the correction for small samples vanishes
    assert distance.ks_p(scaled / np.sqrt(rows / 2), rows, rows) == pytest.approx(table, abs=0.001)


def test_psi_is_zero_for_equal_and_finite_for_disjoint_histograms() -> None:
    one, other = np.array([0, 10, 0]), np.array([0, 0, 10])
    assert distance.psi(one, one) == 0
    assert 1 < distance.psi(one, other) < 100
    assert distance.ks(one, other) == 1
    assert distance.ks_p(0.0, 10, 10) == 1


def test_bins_hold_values_up_to_their_edge_and_null_stands_apart() -> None:
    edges = np.array([1.0, 2.0])
    values = pa.array([None, float("nan"), 0.5, 1.0, 1.5, 2.0, 2.5, float("inf"), float("-inf")])
    assert codes(values, edges).tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 1]
    assert codes(pa.array([1, None, 3], pa.int32()), edges).tolist() == [1, 0, 3]


def test_a_reference_has_fine_bins_and_about_ten_coarse_ones() -> None:
    column = describe(JANUARY)
    assert len(column.edges) == 99
    assert sum(column.counts) == len(JANUARY)
    starts = coarse(np.array(column.counts))
    assert len(starts) == 11
    sizes = np.add.reduceat(np.array(column.counts), starts)
    assert sizes[0] == 0
    assert sizes[1:].min() > 2_000


def test_a_frequent_value_has_a_bin_of_its_own() -> None:
    column = describe(pa.array([0.0] * 900 + list(range(1, 101))))
    assert column.edges[0] == 0.0
    assert column.counts[1] == 900


def test_a_reference_says_what_is_wrong_with_it() -> None:
    for wrong in ({"edges": (1, 1), "counts": (0, 1, 1, 1)}, {"edges": (1,), "counts": (1, 1)}, {"edges": (1,), "counts": (0, 0, 0)}):
        with pytest.raises(ValueError, match=r"ascend|counts"):
            Column.model_validate(wrong)
    with pytest.raises(ValueError, match="there is no value in it"):
        describe(pa.array([None, float("nan")], pa.float64()))


def test_a_reference_file_reads_back_as_it_was() -> None:
    text = reference(JANUARY)
    assert Reference.model_validate_json(text).text() == text


async def test_values_like_the_reference_raise_nothing() -> None:
    signals: list[Signal] = []
    for _ in range(20):
        signals += (await World().run(CHANCE.normal(0.0, 10.0, 1_500))).signals
    assert signals == []


async def test_values_unlike_the_reference_raise_one_signal_per_full_window() -> None:
    stepped = await World().run(CHANCE.normal(8.0, 10.0, 3_000))
    assert sorted(signal.source for signal in stepped.signals) == sorted([*SOURCES, *SOURCES])
    signal = stepped.signals[0]
    assert (signal.kind, signal.column) == ("drift", "dep_delay")
    assert signal.figures["psi"] > signal.figures["threshold"] >= 0.1
    last = [reading for reading in stepped.readings if reading.source == stepped.signals[-1].source][-3:]
    assert [(reading.name, reading.value) for reading in last] == [
        (f"drift_{name}", stepped.signals[-1].figures[figure])
        for name, figure in (("psi", "psi"), ("psi_threshold", "threshold"), ("ks", "ks"))
    ]
    assert "`dep_delay` has moved away from the reference: PSI" in signal.sentence
    assert len(stepped.batch) == 3_000


async def test_nulls_that_grow_frequent_are_drift() -> None:
    values = pa.array(CHANCE.normal(0.0, 10.0, 1_500), mask=CHANCE.random(1_500) < 0.3)
    assert len((await World().run(values)).signals) == 3


async def test_a_large_distance_by_chance_alone_is_no_drift() -> None:
    """A shift that is certain but small: the second vote says yes, the first no."""
    assert (await World(window=10_000).run(CHANCE.normal(1.0, 10.0, 30_000))).signals == ()


async def test_a_window_goes_on_in_the_next_batch_and_is_not_changed_in_place() -> None:
    world = World()
    first = await world.run(CHANCE.normal(8.0, 10.0, 900))
    assert first.signals == ()
    assert [reading.value for reading in first.readings if reading.name == "drift_window_rows"] == [300, 300, 300]
    again = [await world.run(np.full(600, 8.0), first.state) for _ in range(2)]
    assert again[0].signals == again[1].signals
    assert len(again[0].signals) == 3
    assert {window.rows for window in first.state.values()} == {300}
    assert {window.rows for window in again[0].state.values()} == {0}


def test_wrong_words_are_mistakes() -> None:
    files = {"references/r.json": reference(JANUARY), "references/bad.json": "{}"}
    columns = {"dep_delay": pa.float64(), "distance": pa.float64(), "s": pa.string()}

    def said(**told: object) -> list[str]:
        base = {"columns": ["dep_delay"], "reference": "r", "window": 500}
        return [mistake.sentence for mistake in Built("drift", {**base, **told}, columns, files).mistakes]

    assert said(columns=["dep_dela"]) == ["there is no column `dep_dela` here"]
    assert said(columns=["s"]) == ["`s` is string; drift is watched on numbers"]
    assert said(columns=["distance"]) == ["the reference r has no column `distance`"]
    assert said(reference="q") == ["there is no file references/q.json"]
    assert "`flow` is missing here" in said(reference="bad")
