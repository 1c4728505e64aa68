"""The step: a function from a batch of Arrow columns to a batch of Arrow columns. Read this first.

A flow is a list of steps. Each gets the rows that are still in, and says which rows leave here and why. An implementer may not log, count,
trace, commit, sleep or retry: whoever runs the step does. It awaits only the ports that it was built with, and returns what to count. It
works on whole columns; a step that raises is run again on halves of the batch until the row that broke it is alone. What is no fault of a
row must be a WeftError: UnreachableError waits, any other ends the worker.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schemas.positions import Position, Source
from schemas.tracing import Trace
from schemas.vocabulary import Reason, Verdict

Rows = npt.NDArray[np.int64]
"""Indices of rows, ascending."""

Headers = Sequence[tuple[str, bytes | None]]

State = Mapping[Source, Any]
"""A step's state, by consumed partition. Values are never changed in place: a batch may fail and be run again."""

# Columns with a meaning of their own: a step that gives them tells the ledger and the result what was used.
MODEL, DEGRADED, RULE = "model", "degraded", "rule"


class Trip(NamedTuple):
    """One pass of one event."""

    root: Position
    generation: int
    number: int  # of the pass
    first_consumed_ms: int  # since 1970; when pass 0 of this generation was fetched
    attempt: int = 0  # in-place retries so far (order: key)


@dataclass(frozen=True, slots=True)
class Intake:
    """The records that a batch was made of, in columns of equal length n; never taken apart.

    `trips` is None where every row is pass 0 of generation 0 of its own position, which is every row of an input topic.
    """

    sources: tuple[Source, ...]  # the consumed partitions
    source: npt.NDArray[np.int16]  # (n,) index into sources
    offset: npt.NDArray[np.int64]  # (n,) consumed offset
    timestamp_ms: npt.NDArray[np.int64]  # (n,) of the record
    keys: Sequence[bytes | None]
    values: Sequence[bytes | None]
    headers: Sequence[Headers] | None  # None where the flow does not read them
    fetched_ms: int  # since 1970
    trips: Sequence[Trip] | None = None
    traces: Mapping[int, Trace] = field(default_factory=dict)  # by row, of those that are traced

    def __len__(self) -> int:
        return len(self.values)

    def position(self, row: int) -> Position:
        """Where a row was consumed."""
        source = self.sources[self.source[row]]
        return Position(source.topic, source.partition, int(self.offset[row]))

    def trip(self, row: int) -> Trip:
        """The pass that a row is."""
        return self.trips[row] if self.trips is not None else Trip(self.position(row), 0, 0, self.fetched_ms)


@dataclass(frozen=True, slots=True)
class Batch:
    """The rows still in: their columns, and for each the row of the intake that it came from."""

    columns: pa.RecordBatch  # n rows; before decode it has no columns
    origin: Rows  # (n,) row of the intake
    intake: Intake

    def __len__(self) -> int:
        return len(self.origin)

    def take(self, rows: Rows) -> Self:
        """The given rows only, in order."""
        return type(self)(self.columns.take(pa.array(rows)), self.origin[rows], self.intake)

    def without(self, gone: Rows) -> Self:
        """All but the given rows."""
        if not len(gone):
            return self
        return self.take(np.delete(np.arange(len(self), dtype=np.int64), gone))

    def traced(self) -> Iterator[tuple[int, int, Trace]]:
        """Those that are traced: index here, row of the intake, trace."""
        if traces := self.intake.traces:
            rows = np.fromiter(traces, np.int64)
            at = np.searchsorted(self.origin, rows)
            for index, row in zip(at.tolist(), rows.tolist(), strict=True):
                if index < len(self) and self.origin[index] == row:
                    yield index, row, traces[row]

    def with_column(self, name: str, values: pa.Array) -> Self:
        """The batch with one column more, or one replaced."""
        at = self.columns.schema.get_field_index(name)
        columns = self.columns.append_column(name, values) if at < 0 else self.columns.set_column(at, name, values)
        return type(self)(columns, self.origin, self.intake)


@dataclass(frozen=True, slots=True)
class Leave:
    """Rows that leave the steps here, all by one verdict, reason and rule."""

    rows: Rows  # indices into the batch that the step was given
    verdict: Verdict
    reason: Reason
    rule: str = ""  # the rule that decided
    sentence: str = ""  # says to a person why
    sentences: Sequence[str] | None = None  # one a row, where they differ
    columns: pa.RecordBatch | None = None  # of these rows, named and typed as given, where the step changed what they leave with


@dataclass(frozen=True, slots=True)
class Signal:
    """Something that people should hear of and that changes no verdict: an alert."""

    source: Source
    kind: str  # e.g. "drift"
    column: str
    sentence: str
    figures: Mapping[str, float]
    step: str = ""  # its name; filled in by whoever runs the step


class Reading(NamedTuple):
    """What stands now, of a partition and column: e.g. how far a window is from its reference. Shown as the gauge `weft_<name>`."""

    name: str
    source: Source
    column: str
    value: float


@dataclass(frozen=True, slots=True)
class Stepped:
    """What a step did with a batch. `leaves` are disjoint; batch holds all other rows, in order."""

    batch: Batch
    leaves: tuple[Leave, ...] = ()
    state: State = field(default_factory=dict)
    signals: tuple[Signal, ...] = ()
    counts: Mapping[str, float] = field(default_factory=dict)
    readings: tuple[Reading, ...] = ()


class Step(Protocol):
    """One step of a flow, compiled. The lane runs it; flows put it together; steps do not know each other."""

    @property
    def name(self) -> str:
        """Unique within the flow, e.g. `enrich-plane`."""

    @property
    def stateful(self) -> bool:
        """Whether batch k+1 must wait at this step for batch k."""

    async def run(self, batch: Batch, state: State) -> Stepped:
        """Do the work.

        Raises:
            UnreachableError: a port is down or refuses, and the flow says to wait: the lane pauses and runs the step again.
            WeftError: anything else that is wrong with a port or a setting, and no fault of a row: it ends the worker.
            Exception: a fault on some row; the lane splits the batch until that row is alone.
        """
