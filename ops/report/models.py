"""Which model version answered, and how often a fallback did, over event time."""

from collections import Counter
from typing import Any

import numpy as np

from ops.audit.rows import DEGRADED, MODEL, VERDICT
from ops.report.labels import Labels
from ops.report.slab import NEVER, Slab
from ops.report.timeline import Axis, Timeline
from schemas.vocabulary import Verdict


class Models:
    """Counts results by who answered."""

    def __init__(self) -> None:
        self._labels = Labels()
        self.line, self.degraded = Timeline(), Timeline()
        self._totals: Counter[str] = Counter()
        self._fallen: Counter[str] = Counter()
        self._seen: dict[str, tuple[int, int]] = {}

    def add(self, slab: Slab) -> None:
        """One block."""
        rows = [number for number, row in enumerate(slab.rows) if row[MODEL] and row[VERDICT] == Verdict.RESULT]
        if not rows:
            return
        codes = self._labels.codes(slab.rows[number][MODEL] for number in rows)
        known = self._labels.names
        for code, count in Counter(codes.tolist()).items():
            name = known[code]
            self._totals[name] += count
            first, _ = self._seen.get(name, (slab.written_ms, 0))
            self._seen[name] = (min(first, slab.written_ms), max(self._seen.get(name, (0, 0))[1], slab.written_ms))
        fallen = np.array([slab.rows[number][DEGRADED] for number in rows], np.int64)
        for code in codes[fallen == 1].tolist():
            self._fallen[known[code]] += 1
        times = slab.event_ms[rows]
        dated = times != NEVER
        self.line.add(times[dated], codes[dated])
        self.degraded.add(times[dated], fallen[dated])

    def figures(self, axis: Axis) -> dict[str, Any]:
        """By model, the busiest first."""
        table, fallen = axis.table(self.line, max(self.line.width, 1)), axis.table(self.degraded, 2)
        rows = [
            {
                "model": name,
                "rows": self._totals[name],
                "degraded": self._fallen[name],
                "first_ms": self._seen[name][0],
                "last_ms": self._seen[name][1],
                "counts": table[:, code].tolist() if code < table.shape[1] else [0] * len(axis),
            }
            for code, name in enumerate(self._labels.names)
        ]
        return {
            "unit": axis.unit,
            "at": axis.labels(),
            "rows": self._totals.total(),
            "degraded": self._fallen.total(),
            "models": sorted(rows, key=lambda row: -row["rows"]),
            "by_bucket": [[int(down), int(up + down)] for up, down in fallen],
        }
