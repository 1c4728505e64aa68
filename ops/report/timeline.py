"""Counts over time in a bounded number of buckets: where they become too many, they become coarser."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Times = npt.NDArray[np.int64]
"""Milliseconds since 1970."""

_DAY_MS: Final = 86_400_000
_MONDAY_MS: Final = 4 * _DAY_MS  # 1970 began on a Thursday
_FIXED_MS: Final = {
    "second": 1_000,
    "10 seconds": 10_000,
    "minute": 60_000,
    "10 minutes": 600_000,
    "hour": 3_600_000,
    "6 hours": 21_600_000,
    "day": _DAY_MS,
    "week": 7 * _DAY_MS,
}
_CALENDAR: Final = {"month": "datetime64[M]", "year": "datetime64[Y]"}
UNITS: Final = (*_FIXED_MS, *_CALENDAR)
"""Ascending; each is made of whole ones before it, but a month of weeks."""

_KEPT: Final = tuple(unit for unit in UNITS if unit != "week")
BUCKETS: Final = 1_000
OUTLIERS: Final = 0.001  # so small a share at either end may be left out of what is shown
_FORMATS: Final = {"month": "%Y-%m", "year": "%Y", "week": "%Y-%m-%d", "day": "%Y-%m-%d"}


def starts(at_ms: Times, unit: str) -> Times:
    """The beginning of the bucket that each time lies in, UTC."""
    if unit in _CALENDAR:
        return at_ms.astype("datetime64[ms]").astype(_CALENDAR[unit]).astype("datetime64[ms]").astype(np.int64)
    shift = _MONDAY_MS if unit == "week" else 0
    return (at_ms - shift) // _FIXED_MS[unit] * _FIXED_MS[unit] + shift


class Timeline:
    """Counts by bucket of time and column. Memory is bounded by `buckets` times the highest column."""

    def __init__(self, buckets: int = BUCKETS) -> None:
        self._limit, self._unit = buckets, 0
        self._rows: dict[int, Ints] = {}
        self.outside = 0  # times of which there were too many even by year

    @property
    def unit(self) -> str:
        """The finest unit that it can still tell."""
        return _KEPT[self._unit]

    @property
    def width(self) -> int:
        """How many columns there are."""
        return max((len(row) for row in self._rows.values()), default=0)

    def add(self, at_ms: Times, codes: Ints) -> None:
        """Count one for each time in the column of its code."""
        if not len(at_ms):
            return
        found, index = self._placed(at_ms)
        width = int(codes.max()) + 1
        table = np.bincount(index * width + codes, minlength=len(found) * width).reshape(len(found), width)
        self._sum(found, table)

    def add_table(self, at_ms: Times, table: Ints) -> None:
        """Add a row of counts for each time."""
        if not len(at_ms):
            return
        found, index = self._placed(at_ms)
        order = np.argsort(index, kind="stable")
        begins = np.searchsorted(index[order], np.arange(len(found)))
        self._sum(found, np.add.reduceat(table[order], begins, axis=0))

    def at(self) -> tuple[Times, Ints]:
        """The buckets, ascending, and their counts."""
        found = sorted(self._rows)
        table = np.zeros((len(found), self.width), np.int64)
        for row, start in enumerate(found):
            counts = self._rows[start]
            table[row, : len(counts)] = counts
        return np.array(found, np.int64), table

    def _placed(self, at_ms: Times) -> tuple[Times, Ints]:
        """The buckets of these times, and which each is in; coarser ones than before where they would become too many."""
        while True:
            found, index = np.unique(starts(at_ms, self.unit), return_inverse=True)
            if len(self._rows.keys() | set(found.tolist())) <= self._limit or self._unit == len(_KEPT) - 1:
                return found, index
            self._unit += 1
            before, self._rows = self._rows, {}
            if before:
                keys = starts(np.array(list(before), np.int64), self.unit)
                for start, counts in zip(keys.tolist(), before.values(), strict=True):
                    self._add(start, counts)

    def _sum(self, found: Times, table: Ints) -> None:
        for start, counts in zip(found.tolist(), table, strict=True):
            if start in self._rows or len(self._rows) < self._limit:
                self._add(start, counts)
            else:
                self.outside += int(counts.sum())

    def _add(self, start: int, counts: Ints) -> None:
        held = self._rows.get(start)
        if held is None:
            self._rows[start] = counts.astype(np.int64)
        elif len(held) >= len(counts):
            held[: len(counts)] += counts
        else:
            grown = counts.astype(np.int64)
            grown[: len(held)] += held
            self._rows[start] = grown


@dataclass(frozen=True, slots=True)
class Axis:
    """Buckets of one unit without gaps, as they are shown."""

    unit: str
    starts: Times
    outside: int  # what was counted before or after

    def __len__(self) -> int:
        return len(self.starts)

    @classmethod
    def of(cls, main: Timeline, others: Sequence[Timeline], most: int) -> Self:
        """At most so many buckets that show nearly all of `main`; not finer than the others can tell."""
        found, table = main.at()
        if not len(found):
            return cls("day", np.empty(0, np.int64), 0)
        totals = table.sum(axis=1)
        finest = max(UNITS.index(line.unit) for line in (main, *others))
        share = np.cumsum(totals) / totals.sum()
        low = int(np.searchsorted(share, OUTLIERS, side="right"))
        high = max(low, min(int(np.searchsorted(share, 1 - OUTLIERS)), len(found) - 1))
        strays = float(found[high]) - float(found[low]) < (float(found[-1]) - float(found[0])) / 4
        unit, shown = _fitting(found[low], found[high], finest, most) if strays else _fitting(found[0], found[-1], finest, most)
        at = starts(found, unit)
        return cls(unit, shown, int(totals[(at < shown[0]) | (at > shown[-1])].sum()))

    def labels(self) -> list[str]:
        """Each bucket's beginning, UTC."""
        form = _FORMATS.get(self.unit)
        times = self.starts.astype("datetime64[ms]")
        if form is None:
            return [str(time.astype("datetime64[s]")).replace("T", " ") for time in times]
        cut = {"month": "M", "year": "Y"}.get(self.unit, "D")
        return [str(time.astype(f"datetime64[{cut}]")) for time in times]

    def table(self, line: Timeline, width: int) -> Ints:
        """A timeline's counts by these buckets, in so many columns."""
        shown = np.zeros((len(self), width), np.int64)
        found, table = line.at()
        if not len(found) or not len(self):
            return shown
        at = starts(found, self.unit)
        inside = (at >= self.starts[0]) & (at <= self.starts[-1])
        np.add.at(shown[:, : table.shape[1]], np.searchsorted(self.starts, at[inside]), table[inside])
        return shown


def _fitting(first: int, last: int, finest: int, most: int) -> tuple[str, Times]:
    """The finest unit of which so many buckets reach from first to last, and the buckets; years cut off where even they are too many."""
    for unit in UNITS[finest:]:
        low, high = starts(np.array([first, last], np.int64), unit).tolist()
        if unit in _CALENDAR:
            kind = _CALENDAR[unit]
            begin, end = np.array([low, high]).astype("datetime64[ms]").astype(kind).astype(np.int64).tolist()
            if end - begin < most or unit == UNITS[-1]:
                numbers = np.arange(begin, min(end, begin + most - 1) + 1)
                return unit, numbers.astype(kind).astype("datetime64[ms]").astype(np.int64)
        elif (high - low) // _FIXED_MS[unit] < most:
            return unit, np.arange(low, high + 1, _FIXED_MS[unit], dtype=np.int64)
    raise AssertionError("the last unit always fits")
