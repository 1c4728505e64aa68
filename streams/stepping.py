"""Takes a batch through a flow's steps and says what became of each row; a row that breaks a step is found and ends alone."""

import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import Protocol

import numpy as np
import pyarrow as pa

from processors.flow.compiled import Flow
from processors.step import Batch, Intake, Leave, Rows, Signal, State, Step, Stepped
from schemas.errors import FatalError, UnreachableError, WeftError
from schemas.positions import Source
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


class Guard:
    """Knows of rows that end the process, and keeps them apart; this one knows of none. `suspects.py` has the one of a worker."""

    def pieces(self, step: str, batch: Batch) -> list[Rows]:
        """The batch's rows as the step gets them, in order."""
        del step
        return [np.arange(len(batch), dtype=np.int64)]

    def doomed(self, step: str, batch: Batch) -> Mapping[int, str]:
        """The rows that the step does not see again, and why."""
        del step, batch
        return {}

    @asynccontextmanager
    async def at(self, step: str, batch: Batch) -> AsyncIterator[None]:
        """While the step is at it."""
        del step, batch
        yield

    def exhausted(self, step: str, batch: Batch) -> FatalError | None:
        """What one row alone ends that takes more memory than there is; None where it is a row's fault like any other."""
        del step, batch
        return None

    def settled(self, spans: Mapping[Source, tuple[int, int]]) -> None:
        """What was consumed from here, [first, next) by source, has its outcomes."""


UNGUARDED = Guard()

Wait = Callable[[str, UnreachableError], Awaitable[None]]
"""Called when a port of the named step is down; returns when the step should be tried again."""


async def travel(flow: Flow, batch: Batch, entry: int, states: States, gate: Gate, wait: Wait, guard: Guard = UNGUARDED) -> Journey:
    """Run the steps from `entry` on."""
    journey = Journey(flow, batch.intake)
    for index in range(entry, len(flow.steps)):
        step = flow.steps[index]
        if step.stateful:
            await gate.enter(index)
        if len(batch):
            began = perf_counter()
            with listening(step.name, batch) as calls:
                stepped = await _kept_apart(step, batch, states.get((flow.ident, index)), _anew(wait, calls), guard)
            took = perf_counter() - began
            journey.timings.append(Timing(step.name, index, len(batch), began, took, stepped.counts, stepped.readings, calls))
            journey.fates += (_fate(batch, index, leave) for leave in _together(stepped.leaves))
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


def _together(leaves: Sequence[Leave]) -> Sequence[Leave]:
    """Rows that broke the step one by one, as one: whatever is done for a leave is done once for all of them."""
    alone = [leave for leave in leaves if leave.reason is Reason.STEP_FAILED and leave.columns is None]
    if len(alone) < 2:
        return leaves
    sentences = {
        int(row): leave.sentences[at] if leave.sentences else leave.sentence for leave in alone for at, row in enumerate(leave.rows)
    }
    rows = np.array(sorted(sentences), np.int64)
    every = replace(alone[0], rows=rows, sentence="", sentences=[sentences[row] for row in rows.tolist()])
    gone = set(map(id, alone))
    return [*(leave for leave in leaves if id(leave) not in gone), every]


def _fate(batch: Batch, index: int, leave: Leave) -> Fate:
    left = batch.take(leave.rows) if leave.columns is None else Batch(leave.columns, batch.origin[leave.rows], batch.intake)
    return Fate(left, index, leave.verdict, leave.reason, leave.rule, leave.sentence, leave.sentences)


class NotConservedError(Exception):
    """A step lost a row or gave one twice: its fault on those rows, not a port's."""


async def _kept_apart(step: Step, batch: Batch, state: State, wait: Wait, guard: Guard) -> Stepped:
    """Run a step on the pieces that the guard gives it, without the rows that it must not see."""
    if doomed := guard.doomed(step.name, batch):
        rows = np.array(sorted(doomed), np.int64)
        kept = np.setdiff1d(np.arange(len(batch)), rows)
        rest = batch.take(kept)
        stepped = await _kept_apart(step, rest, state, wait, guard) if len(rest) else Stepped(rest, (), state)
        gone = Leave(rows, Verdict.DEAD_LETTER, Reason.STEP_FAILED, sentences=[doomed[row] for row in rows.tolist()])
        return replace(stepped, leaves=(gone, *(replace(leave, rows=kept[leave.rows]) for leave in stepped.leaves)))
    first, *others = guard.pieces(step.name, batch)
    stepped = await _run(step, batch if not others else batch.take(first), state, wait, guard)
    for piece in others:
        stepped = _joined(stepped, await _run(step, batch.take(piece), stepped.state, wait, guard), int(piece[0]))
    return stepped


async def _run(step: Step, batch: Batch, state: State, wait: Wait, guard: Guard) -> Stepped:
    """Run a step; where it fails, on halves, until the row that breaks it is alone.

    Raises:
        WeftError: a port or a setting is wrong, which is no fault of a row: it ends the worker.
    """
    while True:
        try:
            async with guard.at(step.name, batch):
                stepped = await step.run(batch, state)
            _check_conserved(step, batch, stepped)
            return stepped
        except UnreachableError as error:
            await wait(step.name, error)
        except WeftError:
            raise
        except Exception as raised:  # whatever else a step raises is the row's fault, and ends as its dead letter
            fault = raised
            break
    if len(batch) == 1:  # not while it is handled: else each would drag along those of all larger batches
        if isinstance(fault, MemoryError) and (end := guard.exhausted(step.name, batch)) is not None:
            raise end from fault
        return _broken(batch, state, fault)
    middle = len(batch) // 2
    first = await _run(step, batch.take(np.arange(middle)), state, wait, guard)
    second = await _run(step, batch.take(np.arange(middle, len(batch))), first.state, wait, guard)
    return _joined(first, second, middle)


def _check_conserved(step: Step, batch: Batch, stepped: Stepped) -> None:
    """Each row goes on, in its order, or leaves, once."""
    kept, leaves = stepped.batch.origin, stepped.leaves
    if kept is batch.origin and not leaves and stepped.batch.columns.num_rows == len(kept):
        return
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
