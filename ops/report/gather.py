"""Gathers the figures of a report: one pass over a flow's ledger, its input topic beside it, then its checkpoints."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from ops.audit.report import Progress, silent
from ops.daily.desk import Desk
from ops.report.drifts import Drifts
from ops.report.expected import expectations
from ops.report.models import Models
from ops.report.outcomes import Outcomes
from ops.report.passed import Passed
from ops.report.quality import Missing, Rules
from ops.report.reviews import Reviews
from ops.report.slab import NEVER, Slab, Slabs
from ops.report.spans import Spans
from ops.report.timeline import Axis
from ops.report.trees import Trees
from schemas.errors import FailedError

Figures = Mapping[str, Any]
"""Plain values, as `weft report --json` prints them. Times end in `_ms` (since 1970), spans in `_s`."""

TABLE: Final = 24  # buckets in a table
CHART: Final = 62  # buckets in a chart


class Gathered:
    """All that a report counts. Memory does not grow with the events, but with the reviews that are open."""

    def __init__(self, desk: Desk) -> None:
        flow = desk.flow
        passed = Passed(flow)
        self._desk = desk
        self.outcomes, self.rules, self.models, self.trees = Outcomes(), Rules(), Models(), Trees()
        self.drifts, self.missing = Drifts(flow, passed), Missing(passed)
        self.reviews = Reviews(flow.topics, flow.limits.review_s)
        self.latency = Spans()

    def add(self, slab: Slab) -> None:
        """One block."""
        for part in (self.outcomes, self.rules, self.models, self.drifts, self.missing, self.reviews, self.trees):
            part.add(slab)
        there = np.flatnonzero(slab.arrived_ms != NEVER)
        self.latency.add(np.full(len(there), slab.written_ms, np.int64), np.maximum(0, slab.written_ms - slab.arrived_ms[there]))

    def figures(self, now_ms: int) -> Figures:
        """As plain values."""
        events, written = self.outcomes.by_event, self.outcomes.by_written
        drawn = [self.models.line, self.models.degraded]
        chart = Axis.of(events, drawn, CHART)
        table = Axis.of(events, [*drawn, *self.drifts.lines, self.missing.rows, self.missing.nulls, self.rules.line], TABLE)
        passing = Axis.of(written, [self.latency.line, self.reviews.line], CHART)
        flow = self._desk.flow
        return {
            "flow": flow.name,
            "version": flow.version,
            "made_ms": now_ms,
            "event_time": flow.time_column or "time of the record",
            "topics": {"input": flow.topics.input, "result": flow.topics.result, "ledger": flow.topics.ledger},
            "outcomes": self.outcomes.figures(chart, passing),
            "drift": self.drifts.figures(table),
            "quality": {
                "unit": table.unit,
                "at": table.labels(),
                "rules": self.rules.figures(table),
                "missing": self.missing.figures(table),
            },
            "latency": self.latency.summary() | {"histogram": self.latency.histogram(), "series": self.latency.series(passing)},
            "models": self.models.figures(chart),
            "reviews": self.reviews.figures(passing, now_ms),
            "ledger": self.trees.figures(),
        }


async def gather(desk: Desk, now_ms: int, progress: Progress = silent, data: Path | None = None) -> Figures:
    """The figures of a flow as its topics tell them now; with a data folder also what expectations on samples came to.

    Raises:
        FailedError: nothing was decided yet, or the ledger can't be read.
    """
    found, slabs = Gathered(desk), Slabs(desk, progress)
    async for slab in slabs.read():
        found.add(slab)
    if not found.outcomes.last_ms:
        raise FailedError(
            f"Nothing of {desk.flow.name} was decided yet.", f"Begin with: weft produce {desk.flow.name}, then weft run {desk.flow.name}"
        )
    await found.trees.sign(desk.reader, desk.subject)
    return {**found.figures(now_ms), "expectations": expectations(data, desk.flow.name) if data is not None else []}
