"""The contract of every step: no row is lost or doubled, order is kept, nothing is changed in place, the same again gives the same."""

import pickle
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest

from processors.flow.words import FIRST, step_modules
from processors.step import Batch, Signal, State, Step, Stepped
from tests.contract.step_examples import EXAMPLES

WORDS = sorted(step_modules())


def example(word: str) -> tuple[Step, Batch]:
    """A built step and a batch for it."""
    assert word in EXAMPLES, f"processors/steps/{word}.py needs an example in tests/contract/step_examples.py"
    return EXAMPLES[word]()


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


@pytest.mark.parametrize("word", WORDS)
async def test_every_row_stays_or_leaves_once(word: str) -> None:
    step, batch = example(word)
    stepped = await step.run(batch, {})
    gone = np.concatenate([np.empty(0, np.int64), *(leave.rows for leave in stepped.leaves)])
    assert len(np.unique(gone)) == len(gone)
    kept = np.delete(batch.origin, gone)
    assert stepped.batch.origin.tolist() == kept.tolist(), "rows left, came or changed places"
    assert stepped.batch.columns.num_rows == len(kept)
    assert stepped.batch.intake is batch.intake


@pytest.mark.parametrize("word", WORDS)
async def test_a_leave_is_ascending_and_says_why(word: str) -> None:
    step, batch = example(word)
    for leave in (await step.run(batch, {})).leaves:
        assert len(leave.rows)
        assert (np.diff(leave.rows) > 0).all()
        assert leave.sentence or leave.sentences
        assert leave.sentences is None or len(leave.sentences) == len(leave.rows)
        assert leave.reason


@pytest.mark.parametrize("word", WORDS)
async def test_a_row_leaves_with_the_columns_that_came_be_they_changed(word: str) -> None:
    step, batch = example(word)
    for leave in (await step.run(batch, {})).leaves:
        if leave.columns is not None:
            assert leave.columns.num_rows == len(leave.rows)
            assert leave.columns.schema.names == batch.columns.schema.names
            assert leave.columns.schema.types == batch.columns.schema.types


@pytest.mark.parametrize("word", WORDS)
async def test_the_batch_and_the_state_given_are_not_changed(word: str) -> None:
    step, batch = example(word)
    first = await step.run(batch, {})
    columns, origin, state = batch.columns.to_pylist(), batch.origin.copy(), frozen(first.state)
    await step.run(batch, first.state)
    assert repr(batch.columns.to_pylist()) == repr(columns)
    assert (batch.origin == origin).all()
    assert frozen(first.state) == state


@pytest.mark.parametrize("word", WORDS)
async def test_the_same_again_gives_the_same(word: str) -> None:
    step, batch = example(word)
    before = (await step.run(batch, {})).state
    one, other = await step.run(batch, before), await step.run(batch, before)
    assert told(one, batch) == told(other, batch)
    assert one.signals == other.signals
    assert frozen(one.state) == frozen(other.state)


@pytest.mark.parametrize("word", WORDS)
async def test_an_empty_batch_goes_through_with_all_columns(word: str) -> None:
    step, batch = example(word)
    full, empty = await step.run(batch, {}), await step.run(batch.take(np.empty(0, np.int64)), {})
    assert len(empty.batch) == 0
    assert not empty.leaves
    assert empty.batch.columns.schema.names == full.batch.columns.schema.names
    assert empty.batch.columns.schema.types == full.batch.columns.schema.types


@pytest.mark.parametrize("word", WORDS)
async def test_cut_in_parts_each_row_ends_alike(word: str) -> None:
    step, batch = example(word)
    middle, rows = len(batch) // 2, np.arange(len(batch))
    parts = [batch.take(rows[:1]), batch.take(rows[1:middle]), batch.take(rows[middle:])]
    apart: dict[int, tuple[str, ...]] = {}
    signals: list[Signal] = []
    for part, stepped in zip(parts, await through(step, parts), strict=True):
        apart |= told(stepped, part)
        signals += stepped.signals
    whole = await step.run(batch, {})
    assert apart == told(whole, batch)
    assert {repr(signal) for signal in signals} == {repr(signal) for signal in whole.signals}


@pytest.mark.parametrize("word", [word for word in WORDS if word != FIRST])
async def test_sliced_columns_are_read_as_what_they_show(word: str) -> None:
    step, batch = example(word)
    rows = np.arange(10, 400)
    sliced = Batch(batch.columns.slice(10, 390), batch.origin[rows], batch.intake)
    copied = Batch(pa.RecordBatch.from_pylist(sliced.columns.to_pylist(), schema=batch.columns.schema), batch.origin[rows], batch.intake)
    assert told(await step.run(sliced, {}), sliced) == told(await step.run(copied, {}), copied)


@pytest.mark.parametrize("word", WORDS)
async def test_only_a_step_that_says_so_has_state(word: str) -> None:
    step, batch = example(word)
    state = (await step.run(batch, {})).state
    assert step.stateful or not state
    assert set(state) <= set(batch.intake.sources)
