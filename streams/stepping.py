"""Takes a batch through a flow's steps and says what became of each row; a row that breaks a step is found and ends alone."""

import traceback
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import Protocol

import numpy as np
import pyarrow as pa

from processors.flow.compiled import Flow
from processors.step import Batch, Intake, Leave, Rows, Signal, State, Step, Stepped
from schemas.errors import UnreachableError, WeftError
from schemas.vocabulary import Reason, Verdict
from streams.calls import listening
from streams.watch import Call, Timing

TRACE_CHARS = 2_000

StateKey = tuple[str, int]
"""Flow ident and index of the step."""


class States(Protocol):
    """The states of steps, as the batch before left them."""

    def get(self, key: StateKey) -> State:
        """A step's state."""

    def put(self, key: StateKey, state: State) -> None:
        """What this batch made of it."""


@dataclass(frozen=True, slots=True)
class Fate:
    """Rows that ended together, as they were when they did."""

    batch: Batch
    step: int  # index of the step that they left at; the number of steps for those that went through
    verdict: Verdict
    reason: Reason = Reason.NONE
    rule: str = ""
    sentence: str = ""
    sentences: Sequence[str] | None = None

    def why(self, row: int) -> str:
        """The sentence of one row."""
        return self.sentences[row] if self.sentences is not None else self.sentence

    def within(self, intake: Intake) -> "Fate":
        """The same of the same records, of which more is known."""
        return replace(self, batch=replace(self.batch, intake=intake))

    def part(self, rows: Rows, **changes: object) -> "Fate":
        """Some of the rows, perhaps with another verdict."""
        sentences = None if self.sentences is None else [self.sentences[row] for row in rows]
        return replace(self, batch=self.batch.take(rows), sentences=sentences, **changes)  # type: ignore[arg-type]


@dataclass(slots=True)
class Journey:
    """What became of the rows of one intake: fates that hold each row once."""

    flow: Flow
    intake: Intake
    fates: list[Fate] = field(default_factory=list)
    signals: list[Signal] = field(default_factory=list)
    timings: list[Timing] = field(default_factory=list)


class Gate:
    """Lets batch k+1 into a step with state only when batch k has left it."""

    async def enter(self, index: int) -> None:
        """Wait for the batch before."""

    def leave(self, index: int) -> None:
        """Let the batch behind in."""


Wait = Callable[[str, UnreachableError], Awaitable[None]]
"""Called when a port of the named step is down; returns when the step should be tried again."""


async def travel(flow: Flow, batch: Batch, entry: int, states: States, gate: Gate, wait: Wait) -> Journey:
    """Run the steps from `entry` on."""
    journey = Journey(flow, batch.intake)
    for index in range(entry, len(flow.steps)):
        step = flow.steps[index]
        if step.stateful:
            await gate.enter(index)
        if len(batch):
            began = perf_counter()
            with listening(step.name, batch) as calls:
                stepped = await _run(step, batch, states.get((flow.ident, index)), _anew(wait, calls))
            took = perf_counter() - began
            journey.timings.append(Timing(step.name, index, len(batch), began, took, stepped.counts, stepped.readings, calls))
            journey.fates += (_fate(batch, index, leave) for leave in stepped.leaves)
            journey.signals += (replace(signal, step=step.name) for signal in stepped.signals)
            batch = stepped.batch
            if step.stateful:
                states.put((flow.ident, index), stepped.state)
        gate.leave(index)
    if len(batch):
        journey.fates.append(Fate(batch, len(flow.steps), Verdict.RESULT))
    return journey


def _anew(wait: Wait, calls: list[Call]) -> Wait:
    """Waits, and forgets the calls so far: an outage may last, and what is told of it must not grow."""

    async def waits(step: str, error: UnreachableError) -> None:
        calls.clear()
        await wait(step, error)

    return waits


def _fate(batch: Batch, index: int, leave: Leave) -> Fate:
    left = batch.take(leave.rows) if leave.columns is None else Batch(leave.columns, batch.origin[leave.rows], batch.intake)
    return Fate(left, index, leave.verdict, leave.reason, leave.rule, leave.sentence, leave.sentences)


class NotConservedError(Exception):
    """A step lost a row or gave one twice: its fault on those rows, not a port's."""


async def _run(step: Step, batch: Batch, state: State, wait: Wait) -> Stepped:
    """Run a step; where it fails, on halves, until the row that breaks it is alone.

    Raises:
        WeftError: a port or a setting is wrong, which is no fault of a row: it ends the worker.
    """
    while True:
        try:
            stepped = await step.run(batch, state)
            _check_conserved(step, batch, stepped)
        except UnreachableError as error:
            await wait(step.name, error)
        except WeftError:
            raise
        except Exception as fault:  # whatever else a step raises is the row's fault, and ends as its dead letter
            if len(batch) == 1:
                return _broken(batch, state, fault)
            middle = len(batch) // 2
            first = await _run(step, batch.take(np.arange(middle)), state, wait)
            second = await _run(step, batch.take(np.arange(middle, len(batch))), first.state, wait)
            return _joined(first, second, middle)
        else:
            return stepped


def _check_conserved(step: Step, batch: Batch, stepped: Stepped) -> None:
    """Each row goes on, in its order, or leaves, once."""
    kept, leaves = stepped.batch.origin, stepped.leaves
    ended = np.sort(np.concatenate([kept, *(batch.origin[leave.rows] for leave in leaves)])) if leaves else kept
    whole = stepped.batch.columns.num_rows == len(kept) and all(
        leave.columns is None or leave.columns.num_rows == len(leave.rows) for leave in leaves
    )
    if not (whole and np.array_equal(ended, batch.origin) and (np.diff(kept) > 0).all()):
        given, gone = len(batch), len(ended) - len(kept)
        raise NotConservedError(f"step {step.name} was given {given} rows, kept {len(kept)} and let {gone} go: each must be there once")


def _broken(batch: Batch, state: State, fault: Exception) -> Stepped:
    trace = "".join(traceback.format_exception(fault))[-TRACE_CHARS:]
    leave = Leave(np.zeros(1, np.int64), Verdict.DEAD_LETTER, Reason.STEP_FAILED, sentence=f"{type(fault).__name__}: {fault}\n{trace}")
    return Stepped(batch.take(np.zeros(0, np.int64)), (leave,), state)


def _joined(first: Stepped, second: Stepped, middle: int) -> Stepped:
    """What two halves came to, as one."""
    counts = dict(first.counts)
    for name, count in second.counts.items():
        counts[name] = counts.get(name, 0.0) + count
    leaves = (*first.leaves, *(replace(leave, rows=leave.rows + middle) for leave in second.leaves))
    signals, readings = (*first.signals, *second.signals), (*first.readings, *second.readings)
    return Stepped(_concatenated(first.batch, second.batch), leaves, second.state, signals, counts, readings)


def _concatenated(first: Batch, second: Batch) -> Batch:
    if not len(second):
        return first
    if not len(first):
        return second
    columns = pa.concat_batches([first.columns, second.columns])
    return Batch(columns, np.concatenate([first.origin, second.origin]), first.intake)
