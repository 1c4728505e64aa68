"""Holds past events against a suite: a stretch of a flow's input, its results or another topic with its events, judged as a whole."""

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from connectors.log import Reader
from connectors.memory.lookup import MemoryLookup
from ops.flow.offline import FixedScore
from ops.quality.findings import Judgement
from ops.reference import Stretch, intake_of, steps_before
from processors.flow.check import Checked, check
from processors.flow.first import decode_plan
from processors.flow.plan import Mistake, Parts, Site
from processors.flow.project import FolderProject
from processors.flow.spec import FlowFile, Input
from processors.flow.yaml import parse
from processors.quality.suite import Suite, read
from processors.step import Batch, Intake, Step
from processors.steps.watch import Spec, sampled
from schemas.errors import FlowError, UsageError
from schemas.positions import Source

MOST_ROWS = 5_000_000  # held in memory together
WRITTEN = "time of writing"

Columns = Mapping[str, pa.DataType]


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be judged. Without a suite it is that of the flow's watch step; without a topic the flow's input."""

    flow: str
    suite: str | None
    topic: str | None
    stretch: Stretch
    sample: float = 1.0


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, resolved: the topic, the steps that its events go through first, and what is held against them."""

    topic: str
    steps: tuple[Step, ...]  # decode first
    suite: Suite
    shown: tuple[str, ...]  # the columns that the suite needs
    time: str  # the column that the stretch is about, or WRITTEN


@dataclass(slots=True)
class Gathered:
    """Rows to be judged, and what became of the others."""

    events: int = 0  # on the topic
    unreadable: int = 0
    left: int = 0  # at a step before
    outside: int = 0  # of the time
    unsampled: int = 0
    rows: int = 0
    unrepresentable: int = 0  # values of theirs that are judged as null
    batches: list[pa.RecordBatch] = field(default_factory=list)


def question(asked: Asked, project: FolderProject) -> Question:
    """Resolve it.

    Raises:
        FlowError: the flow or the suite has mistakes.
        UsageError: it names no suite, or a column that can't be had.
    """
    checked = check(project, asked.flow)
    spec = checked.sound()
    if asked.topic == spec.result.topic:
        told = Input.model_validate({"topic": asked.topic, "schema": spec.result.contract, "encoding": spec.result.encoding})
        return _plain(asked, told, spec, checked, project)
    for index, step in enumerate(checked.page.data["steps"]):
        if "watch" in step and asked.suite in (None, step["watch"]["suite"]):
            return _as_watched(asked, index, checked, project)
    return _plain(asked, spec.input, spec, checked, project)


def _as_watched(asked: Asked, index: int, checked: Checked, project: FolderProject) -> Question:
    """The rows that the watch step sees, as far as no service is needed."""
    spec = checked.sound()
    told = Spec.model_validate(checked.page.data["steps"][index]["watch"])
    before = checked.placed[: index + 1]
    columns = {name: type_ for placed in before for name, type_ in placed.plan.gives.items()}
    suite = _suite(told.suite, columns, project)
    shown = tuple(name for name in columns if name in suite.needs(columns))
    return Question(asked.topic or spec.input.topic, steps_before(checked, index + 1, shown, project), suite, shown, _time(spec, columns))


def _plain(asked: Asked, told: Input, spec: FlowFile, checked: Checked, project: FolderProject) -> Question:
    """Events as they stand on the topic."""
    if asked.suite is None:
        raise UsageError(f"{asked.flow} has no watch step for this", "Name a suite with --suite: the name of a file in suites/.")
    mistakes: list[Mistake] = []
    plan = decode_plan(Site(project, checked.page, mistakes), told, spec.limits)
    if plan is None or mistakes:
        raise FlowError(str(mistakes[0]) if mistakes else f"{told.contract} can't be read")
    decode = plan.build(Parts(MemoryLookup(), FixedScore(0.0), lambda: 0.0, project))
    suite = _suite(asked.suite, plan.gives, project)
    shown = tuple(name for name in plan.gives if name in suite.needs(plan.gives))
    return Question(asked.topic or told.topic, (decode,), suite, shown, _time(spec, plan.gives))


def _suite(name: str, columns: Columns, project: FolderProject) -> Suite:
    mistakes: list[Mistake] = []
    file = Site(project, parse("--suite", ""), mistakes).open("suites", name, suffix=".json")
    suite = read(name, file, columns) if file else None
    if suite is None:
        raise FlowError(mistakes[0].sentence if file is None else str(mistakes[0]), mistakes[0].hint if file is None else "")
    return suite


def _time(spec: FlowFile, columns: Columns) -> str:
    column = spec.input.time_column
    return column if column is not None and column in columns else WRITTEN


async def gather(asked: Asked, asks: Question, reader: Reader, show: Callable[[int, int], None]) -> Gathered:
    """Read the topic and keep the rows that count. `show` is told how many offsets are done, of how many.

    Raises:
        UsageError: there is no such topic, or no event counts, or more than can be held.
    """
    sources = [Source(asks.topic, partition) for partition in range(await reader.partitions(asks.topic))]
    extents = [await reader.extent(source) for source in sources]
    total, done, found = sum(extent.high - extent.low for extent in extents), 0, Gathered()
    for source, extent in zip(sources, extents, strict=True):
        async for records in reader.read(source):
            await _add(found, asked, asks, intake_of(records))
            show(done + int(records.offsets[-1]) + 1 - extent.low, total)
        done += extent.high - extent.low
    if not found.rows:
        raise UsageError(f"no event of {asks.topic} counts: {found.events:,} were read", "Look at --from and --to.")
    return found


async def _add(found: Gathered, asked: Asked, asks: Question, taken: Intake) -> None:
    batch = Batch(pa.RecordBatch.from_struct_array(pa.array([{}] * len(taken), pa.struct([]))), np.arange(len(taken)), taken)
    found.events += len(batch)
    before = len(batch)
    for place, step in enumerate(asks.steps):
        batch = (await step.run(batch, {})).batch
        gone, before = before - len(batch), len(batch)
        found.unreadable += gone if place == 0 else 0
        found.left += gone if place else 0
    within = _within(batch, asked.stretch, asks.time)
    inside = batch.take(np.flatnonzero(within))
    found.outside += len(batch) - len(inside)
    rows = sampled(inside, asked.sample)
    found.unsampled += len(inside) - len(rows)
    found.rows += len(rows)
    found.batches.append(inside.columns.select(asks.shown).take(pa.array(rows)))
    if found.rows > MOST_ROWS:
        raise UsageError(f"more than {MOST_ROWS:,} events count", "Take fewer: --from and --to, or --sample 0.1.")


def _within(batch: Batch, stretch: Stretch, time: str) -> np.typing.NDArray[np.bool_]:
    if stretch.start is None and stretch.end is None:
        return np.ones(len(batch), np.bool_)
    written = pa.array(batch.intake.timestamp_ms[batch.origin], pa.timestamp("ms", "UTC"))
    held = stretch.holds(written if time == WRITTEN else batch.columns.column(time))
    inside: np.typing.NDArray[np.bool_] = pc.fill_null(held, False).to_numpy(zero_copy_only=False)
    return inside


def judged(asks: Question, found: Gathered) -> Judgement:
    """Hold the rows against the suite; takes seconds, for Great Expectations is imported here."""
    judge = importlib.import_module("ops.quality.judge").Judge()
    made: Judgement = judge.judge(asks.suite, pa.Table.from_batches(found.batches))
    found.unrepresentable = made.unrepresentable
    return made


def facts(asked: Asked, asks: Question, found: Gathered) -> Mapping[str, str | int | None]:
    """What was asked and what counts, by name."""
    bounds = (None if bound is None else bound.isoformat() for bound in (asked.stretch.start, asked.stretch.end))
    return {
        "flow": asked.flow,
        "topic": asks.topic,
        "suite": asks.suite.name,
        "from": next(bounds),
        "to": next(bounds),
        "by": asks.time,
        "events": found.events,
        "unreadable": found.unreadable,
        "left_before": found.left,
        "outside": found.outside,
        "unsampled": found.unsampled,
        "judged": found.rows,
        "unrepresentable": found.unrepresentable,
    }


def told(facts: Mapping[str, str | int | None]) -> Sequence[tuple[str, str]]:
    """These for people."""
    whole = facts["from"] is None and facts["to"] is None
    time = "all there is" if whole else f"{facts['from'] or '...'} to {facts['to'] or '...'}, by {facts['by']}"
    counts = {
        "events": "events read",
        "unreadable": "unreadable",
        "left_before": "left at a step before",
        "outside": "outside of the time",
        "unsampled": "not in the sample",
        "judged": "judged",
        "unrepresentable": "dates or times judged as null",
    }
    return [
        *((name, str(facts[name])) for name in ("flow", "topic", "suite")),
        ("time", time),
        *((words, f"{facts[name]:,}") for name, words in counts.items()),
    ]
