"""Drift by column and event time: the index of every bucket against the flow's own reference, and the alerts that were raised."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ops.report.labels import Labels
from ops.report.passed import Passed
from ops.report.slab import NEVER, Slab
from ops.report.timeline import Axis, Ints, Timeline
from processors.drift import distance
from processors.drift.reference import codes
from processors.flow.compiled import Flow
from processors.steps.drift import KS_LEVEL, MIN_WINDOW, Drift, Watched
from schemas.positions import Source

BUCKETS: Final = 300  # a histogram of a hundred bins stands in each
KEPT: Final = 100  # alerts that are told one by one, the newest
SHARES: Final = (0.1, 0.5, 0.9)


@dataclass(slots=True)
class Column:
    """One column that a step watches."""

    step: Drift
    watched: Watched
    line: Timeline = field(default_factory=lambda: Timeline(BUCKETS))
    passed: Counter[Source] = field(default_factory=Counter)  # rows that the step counted, dated or not

    def figures(self, axis: Axis) -> dict[str, Any]:
        """By bucket: rows, index, threshold, whether that is drift, and the values below which 10, 50 and 90 % of the rows lie."""
        width = len(self.watched.counts)
        table = axis.table(self.line, width)
        told = [self._compared(row) for row in table]
        return {
            "step": self.step.name,
            "column": self.watched.name,
            "window": self.step.window,
            "windows": sum(rows // self.step.window for rows in self.passed.values()),
            "rows": table.sum(axis=1).tolist(),
            "psi": [one[0] for one in told],
            "threshold": [one[1] for one in told],
            "drift": [one[2] for one in told],
            "quantiles": [_quantiles(row, self.watched.edges) for row in table],
            "reference": _quantiles(self.watched.counts, self.watched.edges),
        }

    def _compared(self, counts: Ints) -> tuple[float | None, float | None, bool]:
        """As the step compares a window; None where there are too few rows to say."""
        if counts.sum() < MIN_WINDOW:
            return None, None, False
        reference = self.watched
        before, after = (np.add.reduceat(side, reference.starts) for side in (reference.counts, counts))
        psi = distance.psi(before, after)
        threshold = distance.psi_threshold(before, after, self.step.threshold)
        p = distance.ks_p(distance.ks(reference.counts, counts), int(reference.counts.sum()), int(counts.sum()))
        return psi, threshold, bool(psi > threshold and p < KS_LEVEL / len(self.step.columns))


class Drifts:
    """Histograms of the watched columns over event time, and alerts."""

    def __init__(self, flow: Flow, passed: Passed) -> None:
        self._passed = passed
        self.columns = [Column(step, watched) for step, watched in _watched(flow)]
        self._names, self._alerts = Labels(), Timeline(BUCKETS)
        self.kinds: Counter[tuple[str, str, str]] = Counter()
        self.newest: list[dict[str, Any]] = []

    def add(self, slab: Slab) -> None:
        """One block."""
        dated = slab.event_ms[slab.noted] != NEVER
        for column in self.columns:
            name = column.watched.name
            if name in slab.details.schema.names:
                passed = self._passed.step(slab, column.step.name)
                column.passed[slab.block.source] += int(np.count_nonzero(passed))
                rows = np.flatnonzero(dated & passed)
                values = slab.details.column(name).take(rows)
                column.line.add(slab.event_ms[slab.noted[rows]], codes(values, column.watched.edges))
        for told in json.loads(slab.block.signals):
            self._alert(told, slab)

    def _alert(self, told: dict[str, Any], slab: Slab) -> None:
        """A window's rows lie in its block and before it: the middle of the block's event times stands for them."""
        dated = np.sort(slab.event_ms[slab.event_ms != NEVER])
        middle = int(dated[len(dated) // 2]) if len(dated) else None
        self.kinds[told["kind"], told.get("step", ""), told["column"]] += 1
        if middle is not None:
            self._alerts.add(np.array([middle]), np.array([self._names.code(told["column"])]))
        alert = {"written_ms": slab.written_ms, "event_ms": middle, "partition": slab.block.source.partition}
        self.newest = [*self.newest, alert | {key: told.get(key) for key in ("kind", "step", "column", "sentence", "figures")}][-KEPT:]

    @property
    def lines(self) -> Sequence[Timeline]:
        """All that must be shown on one axis."""
        return [*(column.line for column in self.columns), self._alerts]

    def figures(self, axis: Axis) -> dict[str, Any]:
        """The whole of it."""
        names = self._names.names
        table = axis.table(self._alerts, max(1, len(names)))
        return {
            "unit": axis.unit,
            "at": axis.labels(),
            "columns": [column.figures(axis) for column in self.columns],
            "alerts": {name: table[:, code].tolist() for code, name in enumerate(names)},
            "kinds": [
                {"kind": kind, "step": step, "column": column, "count": count} for (kind, step, column), count in self.kinds.most_common()
            ],
            "newest": self.newest[::-1],
        }


def _watched(flow: Flow) -> Iterator[tuple[Drift, Watched]]:
    """What the flow watches. A column that a later step changes stands in the details as that left it: it can't be compared again."""
    for number, step in enumerate(flow.steps):
        if isinstance(step, Drift):
            changed = {name for gives in flow.gives[number + 1 :] for name in gives}
            yield from ((step, watched) for watched in step.columns if watched.name not in changed)


def _quantiles(counts: Ints, edges: npt.NDArray[np.float64]) -> list[float] | None:
    """The bins' upper edges below which these shares of the values lie; those above the last edge are told as it."""
    values = counts[1:]
    if not values.sum():
        return None
    at = np.searchsorted(np.cumsum(values) / values.sum(), SHARES)
    return [float(edges[min(int(one), len(edges) - 1)]) for one in at]
