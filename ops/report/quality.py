"""Quality: what each rule took out, and how often each column is missing, over event time."""

from typing import Any

import numpy as np

from ops.audit.rows import REASON, RULE, VERDICT
from ops.report.labels import Labels
from ops.report.passed import Passed
from ops.report.slab import NEVER, Slab
from ops.report.timeline import Axis, Timeline
from processors.step import DEGRADED, MODEL
from processors.step import RULE as RULE_COLUMN

_BETWEEN = "\x1f"
_MARKS = (MODEL, DEGRADED, RULE_COLUMN)  # they say who decided: that nobody did is no value missing


class Rules:
    """Counts leaves by the reason and rule that they name. An event that could not be decoded has no time of its own."""

    def __init__(self) -> None:
        self._labels, self.line = Labels(), Timeline()
        self._totals: list[int] = []

    def add(self, slab: Slab) -> None:
        """One block."""
        named = [number for number, row in enumerate(slab.rows) if row[REASON] or row[RULE]]
        if not named:
            return
        keys = (slab.rows[number] for number in named)
        codes = self._labels.codes(_BETWEEN.join((row[VERDICT], row[REASON], row[RULE])) for row in keys)
        counts = np.bincount(codes, minlength=len(self._totals))
        self._totals = [int(count) + before for count, before in zip(counts, [*self._totals, *[0] * len(counts)], strict=False)]
        times = slab.event_ms[named]
        self.line.add(times[times != NEVER], codes[times != NEVER])

    def figures(self, axis: Axis) -> list[dict[str, Any]]:
        """By rule, the frequent ones first."""
        table = axis.table(self.line, max(self.line.width, len(self._totals)))
        rows = []
        for code, name in enumerate(self._labels.names):
            verdict, reason, rule = (*name.split(_BETWEEN), "", "")[:3]
            told = {"verdict": verdict, "reason": reason, "rule": rule, "total": self._totals[code], "counts": table[:, code].tolist()}
            told["dated"] = bool(table[:, code].any())
            rows.append(told)
        return sorted(rows, key=lambda row: -row["total"])


class Missing:
    """Counts nulls by column, over the rows that came through the step which gives it."""

    def __init__(self, passed: Passed) -> None:
        self._passed = passed
        self._columns = [(step, name) for step, names in passed.given().items() for name in names if name not in _MARKS]
        self.rows, self.nulls = Timeline(), Timeline()

    def add(self, slab: Slab) -> None:
        """One block."""
        dated = slab.event_ms[slab.noted] != NEVER
        times = slab.event_ms[slab.noted][dated]
        if not len(times):
            return
        rows = np.zeros((len(times), len(self._columns)), np.int64)
        nulls = np.zeros_like(rows)
        through = {step: self._passed.step(slab, step)[dated] for step in {step for step, _ in self._columns}}
        for code, (step, name) in enumerate(self._columns):
            at = slab.details.schema.get_field_index(name)
            if at >= 0:
                rows[:, code] = through[step]
                nulls[:, code] = through[step] & slab.details.column(at).is_null().to_numpy(zero_copy_only=False)[dated]
        self.rows.add_table(times, rows)
        self.nulls.add_table(times, nulls)

    def figures(self, axis: Axis) -> list[dict[str, Any]]:
        """By column, those first that are missing most."""
        width = len(self._columns)
        rows, nulls = axis.table(self.rows, width), axis.table(self.nulls, width)
        told = [
            {
                "step": step,
                "column": name,
                "rows": int(rows[:, code].sum()),
                "missing": int(nulls[:, code].sum()),
                "by_bucket": [[int(null), int(row)] for null, row in zip(nulls[:, code], rows[:, code], strict=True)],
            }
            for code, (step, name) in enumerate(self._columns)
        ]
        return sorted(told, key=lambda one: -one["missing"] / max(1, one["rows"]))
