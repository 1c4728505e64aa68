"""The laws of steps: no row is lost or doubled, order is kept, nothing is changed in place, the same again gives the same.

Weft's own steps and every plugin are tried by the same ones: `tests/contract/test_steps.py` and `weft plugin test`.
"""

import pickle  # only written, to compare
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from processors.plugins.case import Case
from processors.step import Batch, Signal, State, Step, Stepped


class BrokenLawError(Exception):
    """A step breaks a law; the sentence says how."""


class Law(NamedTuple):
    """One law."""

    name: str
    hold: Callable[[Case], Awaitable[None]]  # raises BrokenLawError, or whatever the step raises


def require(holds: object, sentence: str) -> None:
    """Raise BrokenLawError unless it holds."""
    if not holds:
        raise BrokenLawError(sentence)


def told(stepped: Stepped, batch: Batch) -> dict[int, tuple[str, ...]]:
    """What became of each row of the intake."""
    fates: dict[int, tuple[str, ...]] = {}
    for leave in stepped.leaves:
        for at, row in enumerate(leave.rows):
            sentence = leave.sentences[at] if leave.sentences is not None else leave.sentence
            columns = (batch.columns if leave.columns is None else leave.columns).slice(row if leave.columns is None else at, 1)
            fates[int(batch.origin[row])] = (leave.verdict, leave.reason, leave.rule, sentence, repr(columns.to_pylist()))
    for row, columns in zip(stepped.batch.origin, stepped.batch.columns.to_pylist(), strict=True):
        fates[int(row)] = ("stays", repr(columns))
    return fates


def frozen(state: State) -> bytes:
    """The state as it is now."""
    return pickle.dumps(dict(state))


async def through(step: Step, batches: Sequence[Batch]) -> list[Stepped]:
    """The batches one after the other, each with the state that the one before left."""
    found: list[Stepped] = []
    for batch in batches:
        found.append(await step.run(batch, found[-1].state if found else {}))
    return found


async def _once(case: Case) -> None:
    batch = case.batch
    stepped = await case.step.run(batch, {})
    gone = np.concatenate([np.empty(0, np.int64), *(leave.rows for leave in stepped.leaves)])
    require(len(np.unique(gone)) == len(gone), "a row leaves twice")
    require(not len(gone) or (gone.min() >= 0 and gone.max() < len(batch)), "a row leaves that is not in the batch")
    kept = np.delete(batch.origin, gone)
    require(stepped.batch.origin.tolist() == kept.tolist(), "rows are lost, came or changed places: batch.without(rows that leave)")
    require(stepped.batch.columns.num_rows == len(kept), "the columns have other rows than the batch")
    require(stepped.batch.intake is batch.intake, "the batch has another intake: use batch.with_column and batch.without")


async def _leaves(case: Case) -> None:
    for leave in (await case.step.run(case.batch, {})).leaves:
        require(len(leave.rows), "a leave has no rows")
        require((np.diff(leave.rows) > 0).all(), "the rows of a leave must ascend")
        require(leave.sentence or leave.sentences, "a leave has no sentence that says to a person why")
        require(leave.sentences is None or len(leave.sentences) == len(leave.rows), "a leave has not one sentence a row")
        require(leave.reason, "a leave has no reason")


async def _leaves_with_columns(case: Case) -> None:
    schema = case.batch.columns.schema
    for leave in (await case.step.run(case.batch, {})).leaves:
        if leave.columns is not None:
            require(leave.columns.num_rows == len(leave.rows), "a leave has not one row of columns a row")
            require(leave.columns.schema.names == schema.names, "rows leave with other columns than came")
            require(leave.columns.schema.types == schema.types, "rows leave with columns of other types than came")


async def _unchanged(case: Case) -> None:
    step, batch = case.step, case.batch
    first = await step.run(batch, {})
    columns, origin, state = batch.columns.to_pylist(), batch.origin.copy(), frozen(first.state)
    await step.run(batch, first.state)
    require(repr(batch.columns.to_pylist()) == repr(columns), "the columns that came were changed in place")
    require((batch.origin == origin).all(), "the batch that came was changed in place")
    require(frozen(first.state) == state, "the state that came was changed in place: make a new one")


async def _again(case: Case) -> None:
    step, batch = case.step, case.batch
    before = (await step.run(batch, {})).state
    one, other = await step.run(batch, before), await step.run(batch, before)
    require(told(one, batch) == told(other, batch), "the same batch again ends otherwise: no chance, no clock, nothing kept in the step")
    require(one.signals == other.signals, "the same batch again gives other signals")
    require(frozen(one.state) == frozen(other.state), "the same batch again leaves another state")


async def _empty(case: Case) -> None:
    full, empty = await case.step.run(case.batch, {}), await case.step.run(case.batch.take(np.empty(0, np.int64)), {})
    require(len(empty.batch) == 0 and not empty.leaves, "rows come out of an empty batch")
    require(empty.batch.columns.schema.names == full.batch.columns.schema.names, "an empty batch gets other columns than a full one")
    require(empty.batch.columns.schema.types == full.batch.columns.schema.types, "an empty batch gets columns of other types")


async def _in_parts(case: Case) -> None:
    step, batch = case.step, case.batch
    middle, rows = len(batch) // 2, np.arange(len(batch))
    parts = [batch.take(rows[:1]), batch.take(rows[1:middle]), batch.take(rows[middle:])]
    apart: dict[int, tuple[str, ...]] = {}
    signals: list[Signal] = []
    for part, stepped in zip(parts, await through(step, parts), strict=True):
        apart |= told(stepped, part)
        signals += stepped.signals
    whole = await step.run(batch, {})
    require(apart == told(whole, batch), "a row ends otherwise when the batch is cut elsewhere: look at each row alone")
    require({repr(signal) for signal in signals} == {repr(signal) for signal in whole.signals}, "other signals when the batch is cut")


async def _sliced(case: Case) -> None:
    step, batch = case.step, case.batch
    if not batch.columns.num_columns:  # decode: there is nothing to slice
        return
    rows = np.arange(10, min(400, len(batch)))
    sliced = Batch(batch.columns.slice(10, len(rows)), batch.origin[rows], batch.intake)
    copied = Batch(pa.RecordBatch.from_pylist(sliced.columns.to_pylist(), schema=batch.columns.schema), batch.origin[rows], batch.intake)
    one, other = told(await step.run(sliced, {}), sliced), told(await step.run(copied, {}), copied)
    require(one == other, "a slice of columns is read from the start of its buffers")


async def _state(case: Case) -> None:
    state = (await case.step.run(case.batch, {})).state
    require(case.step.stateful or not state, "it has state, but `stateful` is False")
    require(set(state) <= set(case.batch.intake.sources), "state is kept by the consumed partitions: batch.intake.sources")


async def _gives(case: Case) -> None:
    if case.plan is None:
        return
    require(case.step.name == case.plan.name, f"the step calls itself `{case.step.name}`, its plan `{case.plan.name}`")
    before = {field.name: field.type for field in case.batch.columns.schema}
    after = {field.name: field.type for field in (await case.step.run(case.batch, {})).batch.columns.schema}
    for name, wanted in {**before, **case.plan.gives}.items():
        require(name in after, f"there is no column `{name}` behind the step")
        require(after[name] == wanted, f"column `{name}` is {after[name]} behind the step, its plan says {wanted}")
    extra = sorted(after.keys() - before.keys() - case.plan.gives.keys())
    require(not extra, f"it gives columns that its plan does not say: {', '.join(extra)}")


async def _needs(case: Case) -> None:
    if case.plan is None or not case.batch.columns.num_columns:
        return
    known = case.batch.columns.schema.names
    lacking = sorted(case.plan.needs - set(known))
    require(not lacking, f"its plan needs columns that are not there: {', '.join(lacking)}")
    kept = [name for name in known if name in case.plan.needs or name in case.plan.gives]
    if kept:
        await case.step.run(Batch(case.batch.columns.select(kept), case.batch.origin, case.batch.intake), {})


LAWS: Sequence[Law] = (
    Law("every row stays or leaves once", _once),
    Law("a leave is ascending and says why", _leaves),
    Law("a row leaves with the columns that came, be they changed", _leaves_with_columns),
    Law("the batch and the state given are not changed", _unchanged),
    Law("the same again gives the same", _again),
    Law("an empty batch goes through with all columns", _empty),
    Law("cut in parts, each row ends alike", _in_parts),
    Law("sliced columns are read as what they show", _sliced),
    Law("only a step that says so has state", _state),
    Law("it gives what its plan says, and nothing else", _gives),
    Law("it reads no column but those that its plan needs", _needs),
)
