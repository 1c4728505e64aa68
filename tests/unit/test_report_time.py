"""Counts over time stay true while their buckets become coarser, and spans keep their quantiles."""

import numpy as np
import pytest

from ops.report.spans import Spans
from ops.report.timeline import UNITS, Axis, Timeline, starts

HOUR, DAY = 3_600_000, 86_400_000
NEW_YEAR = 1_356_998_400_000  # 2013


def times(*at: int) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    return np.array(at, np.int64)


def test_nothing_is_lost_when_buckets_become_coarser() -> None:
    line = Timeline(buckets=50)
    at = NEW_YEAR + np.arange(20_000, dtype=np.int64) * HOUR  # over two years
    codes = np.arange(20_000) % 3
    for part in np.array_split(np.arange(20_000), 2_000):
        line.add(at[part], codes[part])
    found, table = line.at()
    assert line.unit == "month"
    assert len(found) == 28 <= 50
    assert table.sum(axis=0).tolist() == [6667, 6667, 6666]
    assert table[1].sum() == 28 * 24  # February
    assert line.outside == 0


def test_counts_and_tables_agree() -> None:
    rng = np.random.default_rng(1)
    at, codes = NEW_YEAR + rng.integers(0, 90 * DAY, 3_000), rng.integers(0, 4, 3_000)
    one, other = Timeline(), Timeline()
    one.add(at, codes)
    other.add_table(at, np.eye(4, dtype=np.int64)[codes])
    assert np.array_equal(one.at()[0], other.at()[0])
    assert np.array_equal(one.at()[1], other.at()[1])


def test_times_from_the_ends_of_the_world_take_no_memory() -> None:
    line = Timeline(buckets=20)
    line.add(np.linspace(-9e18, 9e18, 500).astype(np.int64), np.zeros(500, np.int64))
    assert len(line.at()[0]) <= 20
    assert line.at()[1].sum() + line.outside == 500
    axis = Axis.of(line, [], 10)
    assert len(axis) <= 10
    assert axis.table(line, 1).sum() + axis.outside == line.at()[1].sum()


def test_a_year_is_shown_by_month_and_a_stray_event_is_told_and_not_shown() -> None:
    line = Timeline()
    line.add(NEW_YEAR + np.arange(365, dtype=np.int64).repeat(10) * DAY, np.zeros(3650, np.int64))
    assert Axis.of(line, [], 24).unit == "month"
    line.add(times(NEW_YEAR + 900 * 366 * DAY), times(0))
    axis = Axis.of(line, [], 24)
    assert (axis.unit, len(axis), axis.outside) == ("month", 12, 1)
    assert axis.labels()[0] == "2013-01"
    assert axis.table(line, 1).sum() == 3650
    assert Axis.of(line, [], 60).unit == "week"


def test_no_line_is_shown_finer_than_it_can_tell() -> None:
    fine, coarse = Timeline(), Timeline(buckets=3)
    at = NEW_YEAR + np.arange(96, dtype=np.int64) * HOUR
    fine.add(at, np.zeros(96, np.int64))
    coarse.add(at, np.zeros(96, np.int64))
    axis = Axis.of(fine, [coarse], 200)
    assert UNITS.index(axis.unit) >= UNITS.index(coarse.unit)
    assert axis.table(coarse, 1).sum() == axis.table(fine, 1).sum() == 96


@pytest.mark.parametrize("unit", UNITS)
def test_a_bucket_begins_at_or_before_its_times(unit: str) -> None:
    at = NEW_YEAR + np.arange(0, 3 * 365 * DAY, 7 * HOUR + 1_234, dtype=np.int64)
    begins = starts(at, unit)
    assert (begins <= at).all()
    assert np.array_equal(starts(begins, unit), begins)


def test_an_axis_of_nothing_is_empty() -> None:
    axis = Axis.of(Timeline(), [], 24)
    assert len(axis) == 0
    assert axis.table(Timeline(), 3).shape == (0, 3)


def test_a_quantile_is_within_six_hundredths() -> None:
    spans, rng = Spans(), np.random.default_rng(2)
    values = rng.lognormal(6, 2, 20_000).astype(np.int64) + 1
    spans.add(np.full(20_000, NEW_YEAR), values)
    told = spans.summary()
    for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99)):
        assert told[name] == pytest.approx(np.quantile(values, share) / 1000, rel=0.06)
    assert Spans().summary() == {"count": 0, "p50": None, "p95": None, "p99": None}
