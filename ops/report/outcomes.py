"""What became of the events: by verdict, reason and rule, over event time and over the time of processing."""

from collections import Counter
from typing import Any, Final

import numpy as np

from ops.audit.rows import FLOW, GENERATION, OWN, REASON, ROOT, RULE, VERDICT
from ops.report.labels import OTHERS
from ops.report.slab import NEVER, Slab
from ops.report.timeline import Axis, Timeline
from schemas.vocabulary import Verdict

VERDICTS: Final = tuple(Verdict)
_CODES: Final = {verdict.value: code for code, verdict in enumerate(VERDICTS)}
KINDS: Final = 2_000  # of verdict, reason and rule: what a plugin calls its rules has no bound


class Outcomes:
    """Counts leaves by what they say."""

    def __init__(self) -> None:
        self.by_event, self.by_written = Timeline(), Timeline()
        self.kinds: Counter[tuple[str, str, str]] = Counter()
        self.versions: Counter[str] = Counter()
        self.events = self.ended = self.redriven = self.undated = 0
        self.first_ms, self.last_ms = 0, 0

    def add(self, slab: Slab) -> None:
        """One block."""
        if not slab.rows:
            return
        self.first_ms = min(self.first_ms or slab.written_ms, slab.written_ms)
        self.last_ms = max(self.last_ms, slab.written_ms)
        codes = np.array([_CODES.get(verdict, 0) for verdict in slab.field(VERDICT)], np.int64)
        dated = slab.event_ms != NEVER
        self.undated += int((~dated).sum())
        self.by_event.add(slab.event_ms[dated], codes[dated])
        self.by_written.add(slab.written(), codes)
        for flow, count in Counter(slab.field(FLOW)).items():
            self.versions[flow if flow in self.versions or len(self.versions) < KINDS else OTHERS] += count
        for kind, count in Counter((row[VERDICT], row[REASON], row[RULE]) for row in slab.rows).items():
            self.kinds[kind if kind in self.kinds or len(self.kinds) < KINDS else (kind[0], OTHERS, "")] += count
        self._lives(slab)

    def _lives(self, slab: Slab) -> None:
        """How many events began, and how many ended."""
        self.events += sum(row[OWN] == row[ROOT] for row in slab.rows)
        ends = Counter(row[GENERATION] > 0 for row in slab.rows if Verdict(row[VERDICT]).terminal)
        self.ended += ends[False]
        self.redriven += ends[True]

    def figures(self, event: Axis, written: Axis) -> dict[str, Any]:
        """The counts, by verdict in the order of the vocabulary."""
        return {
            "events": self.events,
            "ended": self.ended,
            "waiting": self.events - self.ended,
            "redriven": self.redriven,
            "undated": self.undated,
            "first_ms": self.first_ms,
            "last_ms": self.last_ms,
            "versions": dict(self.versions.most_common()),
            "kinds": [
                {"verdict": verdict, "reason": reason, "rule": rule, "count": count}
                for (verdict, reason, rule), count in self.kinds.most_common()
            ],
            "by_event_time": self._series(self.by_event, event),
            "by_processing_time": self._series(self.by_written, written),
        }

    def _series(self, line: Timeline, axis: Axis) -> dict[str, Any]:
        table = axis.table(line, max(line.width, 1))
        rows = {VERDICTS[code].value: table[:, code].tolist() for code in range(table.shape[1]) if table[:, code].any()}
        return {"unit": axis.unit, "at": axis.labels(), "outside": axis.outside, "verdicts": rows}
