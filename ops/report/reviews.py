"""Reviews as the ledger tells them: asked, approved, rejected, expired, open, and how long people took."""

from collections import Counter
from typing import Any, Final

import numpy as np

from ops.audit.rows import GENERATION, REASON, ROOT, RULE, VERDICT, Row
from ops.report.slab import Slab
from ops.report.spans import Spans
from ops.report.timeline import Axis, Timeline
from processors.flow.compiled import Topics
from schemas.vocabulary import Reason, Verdict

WAYS: Final = ("asked", "approved", "rejected", "expired")


class Reviews:
    """Follows each review from the leaf that asked to the leaf that closed it. Memory grows with those that are open."""

    def __init__(self, topics: Topics, review_s: float) -> None:
        self._topics, self._review_ms = topics, review_s * 1000
        self._open: dict[tuple[int, int, int], tuple[int, str]] = {}  # partition, offset, generation of the event: when asked, by what
        self.line, self._took = Timeline(), Spans()
        self.superseded = 0

    def add(self, slab: Slab) -> None:
        """One block."""
        resumed = slab.block.source.topic == self._topics.resume
        happened: list[int] = []
        took: list[int] = []
        for row in slab.rows:
            verdict, key = row[VERDICT], (*row[ROOT][1:], row[GENERATION])
            if resumed and Verdict(verdict).void:
                self.superseded += 1
                continue
            closed = self._open.pop(key, None)
            if closed is not None:
                happened.append(WAYS.index(_way(row)))
                took.append(slab.written_ms - closed[0])
            if verdict == Verdict.REVIEW:
                happened.append(0)
                self._open[key] = (slab.written_ms, row[RULE] or row[REASON])
        self.line.add(np.full(len(happened), slab.written_ms), np.array(happened, np.int64))
        self._took.add(np.full(len(took), slab.written_ms), np.array(took, np.int64))

    def figures(self, axis: Axis, now_ms: int) -> dict[str, Any]:
        """The whole of it. One whose time is up expires when a worker next looks."""
        table = axis.table(self.line, len(WAYS))
        _, whole = self.line.at()
        totals = [int(count) for count in whole.sum(axis=0)] + [0] * len(WAYS)
        oldest = min((asked for asked, _ in self._open.values()), default=None)
        return {
            "unit": axis.unit,
            "at": axis.labels(),
            "totals": dict(zip(WAYS, totals, strict=False)),
            "ways": {way: table[:, code].tolist() for code, way in enumerate(WAYS)},
            "open": len(self._open),
            "open_by_rule": dict(Counter(rule for _, rule in self._open.values()).most_common(20)),
            "oldest_ms": oldest,
            "overdue": sum(now_ms - asked > self._review_ms for asked, _ in self._open.values()),
            "limit_s": self._review_ms / 1000,
            "superseded": self.superseded,
            "took": self._took.summary(),
        }


def _way(row: Row) -> str:
    match row[REASON]:
        case Reason.REJECTED:
            return "rejected"
        case Reason.REVIEW_EXPIRED:
            return "expired"
        case _:
            return "approved"
