"""What the compiler puts around steps: `when` and dedupe."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.memory.lookup import MemoryLookup
from processors.cel.expression import Expression
from processors.flow.dedupe import Dedupe
from processors.flow.when import When
from processors.step import Batch, Intake, Leave, State, Stepped, Trip
from schemas.errors import UnreachableError
from schemas.positions import Position, Source
from schemas.vocabulary import Reason, Verdict

COLUMNS = {"n": pa.int64(), "word": pa.string()}


@dataclass(frozen=True, slots=True)
class Double:
    """Gives `twice`, lets odd thirds go, and counts the rows that it saw in its state."""

    name: str = "double"
    stateful: bool = True

    async def run(self, batch: Batch, state: State) -> Stepped:
        values = np.asarray(batch.columns.column("n"))
        gone = np.flatnonzero(values % 3 == 1)
        seen = dict.fromkeys(batch.intake.sources, len(batch))
        made = batch.with_column("twice", pa.array(values * 2))
        return Stepped(made.without(gone), (Leave(gone, Verdict.FILTERED, Reason.FILTER),), seen)


def batch(numbers: Sequence[int | None], trips: Sequence[Trip] | None = None, words: Sequence[str | None] | None = None) -> Batch:
    rows = len(numbers)
    source = (Source("in", 0),)
    intake = Intake(
        source, np.zeros(rows, np.int16), np.arange(rows), np.zeros(rows, np.int64), [None] * rows, [b""] * rows, None, 0, trips
    )
    columns = pa.record_batch({"n": pa.array(numbers, pa.int64()), "word": pa.array(words or [None] * rows, pa.string())})
    return Batch(columns, np.arange(rows, dtype=np.int64), intake)


@given(st.lists(st.none() | st.integers(-9, 9), max_size=30))
async def test_when_runs_the_step_on_the_rows_for_which_it_holds_and_keeps_their_order(numbers: list[int | None]) -> None:
    step = When(Double(), Expression.compile("n > 2", COLUMNS, pa.bool_()), {"twice": pa.int64()})
    stepped = await step.run(batch(numbers), {})
    went = [row for row, number in enumerate(numbers) if number is not None and not (number > 2 and number % 3 == 1)]
    assert stepped.batch.origin.tolist() == went
    twice = [number * 2 if number > 2 else None for number in (numbers[row] for row in went) if number is not None]
    assert stepped.batch.columns.column("twice").to_pylist() == twice
    left = {int(row): leave.reason for leave in stepped.leaves for row in leave.rows}
    assert left == {row: Reason.RULE_FAILED if numbers[row] is None else Reason.FILTER for row in set(range(len(numbers))) - set(went)}


async def test_when_nothing_holds_the_state_stays_and_the_columns_are_null() -> None:
    step = When(Double(), Expression.compile("n > 2", COLUMNS, pa.bool_()), {"twice": pa.int64()})
    before = {Source("in", 0): 7}
    stepped = await step.run(batch([1, 2]), before)
    assert stepped.state == before
    assert stepped.batch.columns.column("twice").to_pylist() == [None, None]
    assert step.stateful


async def test_a_second_event_with_the_same_id_is_filtered_and_names_the_first() -> None:
    step = Dedupe("small", "word", 60, MemoryLookup())
    stepped = await step.run(batch([0, 1, 2, 3], words=["a", "b", "a", None]), {})
    assert stepped.batch.origin.tolist() == [0, 1, 3]
    (leave,) = stepped.leaves
    assert (leave.verdict, leave.reason, leave.rows.tolist()) == (Verdict.FILTERED, Reason.DUPLICATE, [2])
    assert leave.sentences == ["the event at in/0/0 came before with the same id"]


async def test_an_event_that_is_read_again_finds_itself() -> None:
    step = Dedupe("small", "word", 60, MemoryLookup())
    for _ in range(2):
        stepped = await step.run(batch([0, 1], words=["a", "b"]), {})
        assert stepped.leaves == ()


async def test_the_same_id_in_another_flow_is_another_event() -> None:
    lookup = MemoryLookup()
    await Dedupe("one", "word", 60, lookup).run(batch([0], words=["a"]), {})
    other = batch([0, 1], words=["b", "a"])
    assert (await Dedupe("two", "word", 60, lookup).run(other, {})).leaves == ()
    assert len((await Dedupe("one", "word", 60, lookup).run(other, {})).leaves) == 1


async def test_a_redrive_is_not_asked_and_a_row_that_waited_for_its_schema_is() -> None:
    lookup = MemoryLookup()
    step = Dedupe("small", "word", 60, lookup)
    assert (await step.run(batch([0], [Trip(Position("in", 0, 5), 1, 0, 0)], ["a"]), {})).leaves == ()
    assert not lookup.entries
    waited = [Trip(Position("in", 0, 6), 0, 1, 0), Trip(Position("in", 0, 7), 0, 1, 0)]
    assert [leave.rows.tolist() for leave in (await step.run(batch([0, 1], waited, ["a", "a"]), {})).leaves] == [[1]]


async def test_dedupe_waits_for_a_store_that_is_down() -> None:
    lookup = MemoryLookup()
    lookup.down = True
    with pytest.raises(UnreachableError):
        await Dedupe("small", "word", 60, lookup).run(batch([0], words=["a"]), {})
