"""Fills windows with the samples of each step: bounded, the oldest rows go first and are counted."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pyarrow as pa

from processors.ports import Sample
from processors.steps.watch import Watch

FEW_ROWS = 100
"""Fewer are not judged: expectations about a share or a mean would fail by chance."""
KEPT_WINDOWS = 32  # that may wait, of a step
KEPT_BYTES = 32 << 20

Key = tuple[str, str]
"""Flow as name@version, and step."""


@dataclass(frozen=True, slots=True)
class Window:
    """Rows that are held against a step's suite together."""

    key: Key
    watch: Watch
    rows: pa.Table
    dropped_rows: int  # of this step, since the window before


@dataclass(slots=True)
class _Waiting:
    """What came of one step and is not judged yet, the oldest first."""

    watch: Watch
    since_s: float
    batches: list[pa.RecordBatch] = field(default_factory=list)
    dropped_rows: int = 0
    deaf_until_s: float = 0.0

    @property
    def rows(self) -> int:
        return sum(batch.num_rows for batch in self.batches)

    @property
    def full(self) -> bool:
        """Whether one more would be too many."""
        return self.rows > KEPT_WINDOWS * self.watch.spec.window or sum(batch.nbytes for batch in self.batches) > KEPT_BYTES


class Windows:
    """The windows of all steps. `now` is monotonic, in seconds."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._waiting: dict[Key, _Waiting] = {}

    def add(self, sample: Sample, watch: Watch) -> None:
        """Rows that have just come."""
        waiting = self._waiting.setdefault((sample.flow, sample.step), _Waiting(watch, self._now()))
        if sample.columns.schema.names != list(watch.columns) or self._now() < waiting.deaf_until_s:
            waiting.dropped_rows += sample.columns.num_rows
            return
        if not waiting.batches:
            waiting.since_s = self._now()
        waiting.batches.append(sample.columns)
        while waiting.full and len(waiting.batches) > 1:
            waiting.dropped_rows += waiting.batches.pop(0).num_rows

    def next(self, ending: bool = False) -> Window | None:
        """A window that is full, or has waited long enough; where all ends also one that has not. The one that waits longest first."""
        due = [key for key, waiting in self._waiting.items() if self._due(waiting, ending)]
        if not due:
            return None
        key = min(due, key=lambda name: self._waiting[name].since_s)
        waiting = self._waiting[key]
        every = pa.Table.from_batches(waiting.batches)
        rows = every.slice(0, waiting.watch.spec.window)
        rest = every.slice(rows.num_rows)
        waiting.batches = rest.combine_chunks().to_batches() if rest.num_rows else []
        waiting.since_s = self._now()
        dropped, waiting.dropped_rows = waiting.dropped_rows, 0
        return Window(key, waiting.watch, rows, dropped)

    def forget(self, key: Key, deaf_s: float) -> None:
        """Let go of what came of a step, and of what comes within this time."""
        waiting = self._waiting[key]
        waiting.dropped_rows += waiting.rows
        waiting.batches = []
        waiting.deaf_until_s = self._now() + deaf_s

    def _due(self, waiting: _Waiting, ending: bool) -> bool:
        spec, rows = waiting.watch.spec, waiting.rows
        late = ending or self._now() - waiting.since_s >= spec.within
        return rows >= spec.window or (late and rows >= min(FEW_ROWS, spec.window))
