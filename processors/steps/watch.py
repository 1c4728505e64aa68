"""Watch: a sample of the rows is held against a suite of Great Expectations, elsewhere; what fails is a signal and changes no verdict."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import BaseModel, Field

from processors.flow.duration import Duration
from processors.flow.plan import Plan, Site
from processors.ports import Sample, Samples
from processors.quality.suite import Suite, read
from processors.step import Batch, Rows, State, Stepped

HASH_BITS = 32
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
"""2**64 over the golden ratio: multiplied by it, numbers one after the other are far apart (Knuth, TAOCP 3, 6.4)."""


class Spec(BaseModel, frozen=True, extra="forbid"):
    """Has a sample of rows watched."""

    name: str | None = Field(default=None, description="The step's name, if not `watch-<suite>`.")
    when: str | None = Field(default=None, description="CEL: run the step only on the rows for which it holds.")
    suite: str = Field(description="The suite's file: `suites/<name>.json`, as Great Expectations writes it.")
    sample: float = Field(default=0.05, gt=0, le=1, description="The share of rows that is looked at, by a hash of their positions.")
    window: int = Field(default=1_000, ge=100, le=100_000, description="So many sampled rows are held against the suite together.")
    within: Duration = Field(default=60.0, description="A window that is not full is judged after this time, if it has 100 rows.")
    action: Literal["alert", "pause"] = Field(
        default="alert", description="`alert` raises a signal; `pause` also pauses the flow where a critical expectation fails."
    )


@dataclass(frozen=True, slots=True)
class Watch:
    """Hands a sample of rows to whoever watches; what that finds out never comes back here."""

    name: str
    spec: Spec
    suite: Suite
    columns: tuple[str, ...]  # that the suite is about
    flow: str
    samples: Samples
    stateful: bool = False

    async def run(self, batch: Batch, state: State) -> Stepped:
        """Take the sample. A batch that is run again gives the same one."""
        rows = sampled(batch, self.spec.sample)
        taken = self.samples.offer(Sample(self.flow, self.name, self._shown(batch, rows))) if len(rows) else 0
        counts = {"watch_sampled_rows": float(len(rows)), "watch_dropped_rows": float(len(rows) - taken)}
        return Stepped(batch, state=state, counts=counts)

    def _shown(self, batch: Batch, rows: Rows) -> pa.RecordBatch:
        columns = batch.columns.select(self.columns)
        return columns if len(rows) == len(batch) else columns.take(pa.array(rows))


def sampled(batch: Batch, share: float) -> Rows:
    """The rows that are looked at: about this share of them, by partition and offset."""
    if share >= 1:
        return np.arange(len(batch), dtype=np.int64)
    intake = batch.intake
    salts = np.array([source.partition for source in intake.sources], np.uint64) << np.uint64(40)
    numbers: npt.NDArray[np.uint64] = intake.offset[batch.origin].astype(np.uint64) + salts[intake.source[batch.origin]]
    return np.flatnonzero((numbers * _GOLDEN) >> np.uint64(64 - HASH_BITS) < np.uint64(share * 2**HASH_BITS))


def plan(spec: Spec, at: Site, columns: Mapping[str, pa.DataType]) -> Plan:
    """Needs what the suite is about, gives nothing."""
    name = spec.name or f"watch-{spec.suite}"
    file = at.open("suites", spec.suite, "suite", suffix=".json")
    suite = read(spec.suite, file, columns) if file else None
    held = suite or Suite(spec.suite, ())
    needs = held.needs(columns) if suite else frozenset[str]()
    shown = tuple(column for column in columns if column in needs)
    return Plan(name, needs, {}, lambda parts: Watch(name, spec, held, shown, parts.flow, parts.samples))
