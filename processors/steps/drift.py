"""Drift: full windows of rows are compared with a reference; what differs is a signal and changes no verdict."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import BaseModel, Field

from processors.drift import distance
from processors.drift.reference import Column, Reference, coarse, codes
from processors.flow.plan import Plan, Site
from processors.step import Batch, Reading, Signal, State, Stepped
from schemas.positions import Source

MIN_WINDOW = 500
"""Below this chance alone alarms too often (measured: a fixed threshold on small windows alarms at random)."""

KS_LEVEL = 0.001
"""Shared by the columns (Bonferroni)."""


class Spec(BaseModel, frozen=True, extra="forbid"):
    """Watches columns against a reference."""

    name: str | None = Field(default=None, description="The step's name, if not `drift`.")
    when: str | None = Field(default=None, description="CEL: run the step only on the rows for which it holds.")
    columns: tuple[str, ...] = Field(min_length=1, max_length=100, description="Numeric columns that the reference has.")
    reference: str = Field(description="The reference file: `references/<name>.json`, made by `weft drift reference`.")
    window: int = Field(ge=MIN_WINDOW, le=1_000_000, description="Rows per comparison, in each consumed partition.")
    action: Literal["alert"] = Field(default="alert", description="`alert` raises a signal.")
    threshold: float = Field(default=distance.PSI_FLOOR, gt=0, le=10, description="PSI below this is never drift.")


@dataclass(frozen=True, slots=True)
class Watched:
    """A column's reference, ready to compare with."""

    name: str
    edges: npt.NDArray[np.float64]
    counts: distance.Counts
    starts: npt.NDArray[np.int64]  # of PSI's bins

    @classmethod
    def of(cls, name: str, column: Column) -> "Watched":
        """From the reference file."""
        counts = np.array(column.counts, dtype=np.int64)
        return cls(name, np.array(column.edges), counts, coarse(counts))


@dataclass(frozen=True, slots=True)
class Window:
    """A window that fills up: rows so far, and per column their histogram. Never changed in place."""

    rows: int
    counts: tuple[distance.Counts, ...]


class Compared(NamedTuple):
    """A full window of one partition, and the reference."""

    source: Source
    column: str
    psi: float
    threshold: float
    ks: float
    p: float

    def readings(self) -> tuple[Reading, ...]:
        """As gauges."""
        figures = {"drift_psi": self.psi, "drift_psi_threshold": self.threshold, "drift_ks": self.ks}
        return tuple(Reading(name, self.source, self.column, value) for name, value in figures.items())


@dataclass(frozen=True, slots=True)
class Drift:
    """Watches columns against a reference, in windows per consumed partition (a backlog arrives partition by partition)."""

    name: str
    columns: tuple[Watched, ...]
    window: int
    threshold: float
    stateful: bool = True

    async def run(self, batch: Batch, state: State) -> Stepped:
        """Count each row into its partition's window; compare the windows that are full."""
        coded = [codes(batch.columns.column(column.name), column.edges) for column in self.columns]
        source_of = batch.intake.source[batch.origin]
        after, compared, full = dict(state), list[Compared](), 0
        for index in np.unique(source_of):
            source = batch.intake.sources[index]
            rows = np.flatnonzero(source_of == index)
            window: Window = after.get(source) or self._empty()
            while len(rows):
                now, rows = np.split(rows, [self.window - window.rows])
                window = self._counted(window, coded, now)
                if window.rows == self.window:
                    compared += (self._compared(column, counts, source) for column, counts in zip(self.columns, window.counts, strict=True))
                    full += 1
                    window = self._empty()
            after[source] = window
        fill = (Reading("drift_window_rows", source, "", float(after[source].rows)) for source in batch.intake.sources if source in after)
        readings = (*fill, *(reading for one in compared for reading in one.readings()))
        return Stepped(
            batch, (), after, tuple(signal for one in compared if (signal := self._signal(one))), {"drift_windows": float(full)}, readings
        )

    def _empty(self) -> Window:
        return Window(0, tuple(np.zeros_like(column.counts) for column in self.columns))

    def _counted(self, window: Window, coded: list[npt.NDArray[np.int64]], rows: npt.NDArray[np.int64]) -> Window:
        new = (np.bincount(values[rows], minlength=len(old)) for values, old in zip(coded, window.counts, strict=True))
        return Window(window.rows + len(rows), tuple(old + more for old, more in zip(window.counts, new, strict=True)))

    def _compared(self, column: Watched, counts: distance.Counts, source: Source) -> "Compared":
        before, after = (np.add.reduceat(side, column.starts) for side in (column.counts, counts))
        psi, threshold = distance.psi(before, after), distance.psi_threshold(before, after, self.threshold)
        ks = distance.ks(column.counts, counts)
        return Compared(source, column.name, psi, threshold, ks, distance.ks_p(ks, int(column.counts.sum()), int(counts.sum())))

    def _signal(self, one: "Compared") -> Signal | None:
        """A signal where both votes say drift."""
        if one.psi <= one.threshold or one.p >= KS_LEVEL / len(self.columns):
            return None
        sentence = (
            f"`{one.column}` has moved away from the reference: PSI {one.psi:.2f} is above {one.threshold:.2f} over {self.window:,} rows"
        )
        figures = {"psi": one.psi, "threshold": one.threshold, "ks": one.ks, "p": one.p, "rows": float(self.window)}
        return Signal(one.source, "drift", one.column, sentence, figures)


def plan(spec: Spec, at: Site, columns: Mapping[str, pa.DataType]) -> Plan:
    """Needs the columns that it watches, gives nothing."""
    name = spec.name or "drift"
    file = at.open("references", spec.reference, "reference", suffix=".json")
    reference = file.load(Reference) if file else None
    watched = []
    for index, column in enumerate(spec.columns):
        if column not in columns:
            at.mistake(("columns", index), f"there is no column `{column}` here", wrong_word=column, valid=columns)
        elif not (pa.types.is_integer(columns[column]) or pa.types.is_floating(columns[column])):
            at.mistake(("columns", index), f"`{column}` is {columns[column]}; drift is watched on numbers")
        elif reference and column not in reference.columns:
            sentence = f"the reference {spec.reference} has no column `{column}`"
            at.mistake(("columns", index), sentence, wrong_word=column, valid=reference.columns)
        elif reference:
            watched.append(Watched.of(column, reference.columns[column]))
    return Plan(name, frozenset(spec.columns), {}, lambda _: Drift(name, tuple(watched), spec.window, spec.threshold))
