"""Makes a drift reference: a stretch of a flow's events, taken through the steps before `drift`, as histograms."""

import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from connectors.log import Reader, Records
from connectors.memory.lookup import MemoryLookup
from ops.flow.events import intake, read_samples
from ops.flow.offline import FixedScore
from processors.drift.reference import Reference, describe
from processors.flow.check import Checked, check
from processors.flow.plan import Parts
from processors.flow.project import BUILT_IN, ROOT, FolderProject
from processors.flow.spec import FlowFile
from processors.step import Batch, Intake, Step
from processors.steps.drift import Spec
from schemas.errors import FlowError, UsageError
from schemas.positions import Source

ROWS = 5_000
SIGNALS = ("drift", "watch")
"""Words of steps that only look on."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Which events count, by the flow's event time; without bounds all do."""

    start: datetime | None
    end: datetime | None

    def holds(self, times: pa.Array) -> pa.Array:
        """The rows within; a row without a time is not."""
        within = pc.is_valid(times)
        for bound, inside in ((self.start, pc.greater_equal), (self.end, pc.less)):
            if bound is not None:
                within = pc.and_kleene(within, inside(times, pa.scalar(bound, times.type)))
        return within


@dataclass(frozen=True, slots=True)
class Watch:
    """The `drift` step that a reference is for, and the steps before it that need no other service."""

    project: FolderProject
    flow: str
    spec: FlowFile
    drift: Spec
    steps: tuple[Step, ...]

    @property
    def file(self) -> Path:
        """Where the reference belongs: in the project, which goes before what is built in; of this repository, in what is built in."""
        own = self.project.folder
        folder = BUILT_IN["references"] if own is None or own.resolve() == ROOT else own / "references"
        return folder / f"{self.drift.reference}.json"


def watch(project: FolderProject, flow: str, columns: Sequence[str], reference: str | None) -> Watch:
    """The flow's `drift` step (of several the one with that reference), watching these columns if any are given.

    Raises:
        FlowError: the flow has mistakes up to that step, or no such step.
        UsageError: a column can't be had without another service.
    """
    checked = check(project, flow)
    told = checked.page.data.get("steps") if isinstance(checked.page.data, dict) else None
    for index, step in enumerate(told if isinstance(told, list) else []):
        own = step.get("drift") if isinstance(step, dict) else None
        if isinstance(own, dict) and reference in (None, own.get("reference")):
            _sound_before(checked, ("steps", index))
            spec = Spec.model_validate(own | ({"columns": columns} if columns else {}))
            assert checked.spec is not None  # noqa: S101  since it is sound
            return Watch(project, flow, checked.spec, spec, steps_before(checked, index + 1, spec.columns, project))
    raise FlowError(f"{checked.page.file} has no drift step" + (f" with the reference `{reference}`" if reference else ""))


def _sound_before(checked: Checked, path: tuple[str | int, ...]) -> None:
    """Mistakes from the step on don't matter: the reference is among them."""
    line = checked.page.mark(path, key=True).line
    if found := [mistake for mistake in checked.mistakes if mistake.file != checked.page.file or mistake.line < line]:
        raise FlowError(f"the flow has mistakes before its drift step: {found[0]}", "`weft flow check` shows all of them.")
    if checked.spec is None:
        checked.sound()


def steps_before(checked: Checked, count: int, columns: Iterable[str], project: FolderProject) -> tuple[Step, ...]:
    """The first steps of a flow, but those that ask a service, and those that need what these would give. They must give these columns.

    Raises:
        UsageError: a column can't be had without another service.
    """
    parts = Parts(MemoryLookup(), FixedScore(0.0), time.monotonic, project)
    there: set[str] = set()
    steps, skipped = [], dict[str, str]()
    for placed in checked.placed[:count]:
        plan = placed.plan
        if plan.pauses or not plan.needs <= there or placed.word in SIGNALS:
            skipped |= dict.fromkeys(plan.gives, plan.name)
            continue
        there |= plan.gives.keys()
        steps.append(plan.build(parts))
    for column in columns:
        if column not in there:
            why = f"step {skipped[column]} gives it, and asks a service" if column in skipped else "no step before gives it"
            raise UsageError(f"`{column}` can't be had from the events alone: {why}")
    return tuple(steps)


async def make(watched: Watch, intakes: AsyncIterator[Intake], stretch: Stretch) -> Reference:
    """The reference of these events.

    Raises:
        UsageError: no event counts, or a column has no value.
    """
    time_column = watched.spec.input.time
    if time_column is None and (stretch.start or stretch.end):
        raise UsageError("the flow says no event time", "Leave --from and --to out, or give the flow `input.time`.")
    found: Mapping[str, list[pa.Array]] = {name: [] for name in watched.drift.columns}
    rows = 0
    async for taken in intakes:
        columns = await through(watched.steps, taken)
        if time_column is not None:
            columns = columns.filter(stretch.holds(columns.column(time_column)))
        rows += columns.num_rows
        for name, parts in found.items():
            parts.append(columns.column(name))
    if not rows:
        raise UsageError("no event counts for the reference", "Look at --from and --to, and whether the events are there.")
    try:
        described = {name: describe(pa.chunked_array(parts)) for name, parts in found.items()}
    except ValueError as error:
        raise UsageError(f"a reference can't be made: {error}") from error
    said = (bound.isoformat() if bound else "" for bound in (stretch.start, stretch.end))
    return Reference(flow=watched.flow, time_from=next(said), time_to=next(said), rows=rows, columns=described)


async def through(steps: Sequence[Step], taken: Intake) -> pa.RecordBatch:
    """The columns of the rows that go through all steps."""
    rows = np.arange(len(taken), dtype=np.int64)
    batch = Batch(pa.RecordBatch.from_struct_array(pa.array([{}] * len(rows), pa.struct([]))), rows, taken)
    for step in steps:
        batch = (await step.run(batch, {})).batch
    return batch.columns


async def from_file(watched: Watch, path: Path) -> AsyncIterator[Intake]:
    """The events of a file.

    Raises:
        UsageError: it can't be read.
    """
    contract = watched.project.contracts()[watched.spec.input.contract]
    samples = read_samples(path, watched.spec, contract)
    for start in range(0, len(samples), ROWS):
        taken = intake(samples[start : start + ROWS], watched.spec, 0)
        yield replace(taken, offset=taken.offset + start)


async def from_topic(watched: Watch, reader: Reader) -> AsyncIterator[Intake]:
    """What is on the flow's input topic now.

    Raises:
        UsageError: there is no such topic.
    """
    topic = watched.spec.input.topic
    for partition in range(await reader.partitions(topic)):
        async for records in reader.read(Source(topic, partition)):
            yield intake_of(records)


def intake_of(records: Records) -> Intake:
    """As if they had been fetched."""
    zeros = np.zeros(len(records), np.int16)
    return Intake(
        (records.source,), zeros, records.offsets, records.timestamps_ms, records.keys, records.values, records.headers, fetched_ms=0
    )
