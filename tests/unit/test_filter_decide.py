"""Filter and decide: what an expression says of a row."""

import pyarrow as pa

from processors.plugins.case import batch_of, types
from processors.step import Batch, Stepped
from schemas.vocabulary import Reason, Verdict
from tests.contract.step_examples import Built

COLUMNS = pa.RecordBatch.from_pydict({"d": pa.array([1.0, None, 3.0]), "s": ["a", "b", "c"]})


async def run(word: str, told: dict[str, str], batch: Batch | None = None) -> Stepped:
    """The step on the three rows."""
    return await Built(word, told, types(COLUMNS)).step().run(batch or batch_of(COLUMNS), {})


async def test_rows_for_which_the_filter_holds_leave_with_its_reason() -> None:
    stepped = await run("filter", {"when": "d == null || d > 2.0", "reason": "odd"})
    (leave,) = stepped.leaves
    assert leave.rows.tolist() == [1, 2]
    assert (leave.verdict, leave.reason, leave.rule) == (Verdict.FILTERED, Reason.FILTER, "odd")
    assert stepped.batch.columns.column("s").to_pylist() == ["a"]


async def test_a_filter_that_fails_on_a_row_sends_it_to_review() -> None:
    stepped = await run("filter", {"when": "d > 2.0", "reason": "odd"})
    assert [(leave.rows.tolist(), leave.verdict, leave.reason) for leave in stepped.leaves] == [
        ([2], Verdict.FILTERED, Reason.FILTER),
        ([1], Verdict.REVIEW, Reason.RULE_FAILED),
    ]


async def test_decide_gives_one_word_or_the_other() -> None:
    stepped = await run("decide", {"when": "d != null && d > 2.0", "as": "yes", "else": "no"})
    assert stepped.batch.columns.column("decision").to_pylist() == ["no", "no", "yes"]
    assert not stepped.leaves


async def test_a_decision_that_fails_on_a_row_sends_it_to_review() -> None:
    stepped = await run("decide", {"when": "d > 2.0", "as": "yes", "else": "no"})
    (leave,) = stepped.leaves
    assert (leave.rows.tolist(), leave.verdict, leave.reason) == ([1], Verdict.REVIEW, Reason.RULE_FAILED)
    assert stepped.batch.columns.column("decision").to_pylist() == ["no", "yes"]


def test_an_unknown_column_is_a_mistake_with_the_nearest_word_and_its_place() -> None:
    built = Built("filter", {"reason": "odd", "when": "delai > 2.0"}, {"delay": pa.float64(), "name": pa.string()})
    (mistake,) = built.mistakes
    assert mistake.sentence == "there is no column `delai` here"
    assert mistake.hint == "did you mean `delay`?"
    assert (mistake.line, mistake.column) == (1, 27)


def test_the_plan_of_a_wrong_step_still_says_what_it_gives() -> None:
    built = Built("decide", {"when": "s", "as": "yes", "else": "no"}, types(COLUMNS))
    assert [mistake.sentence for mistake in built.mistakes] == ["`s` gives string, but bool is needed here"]
    assert dict(built.plan.gives) == {"decision": pa.string()}
    assert built.plan.needs == frozenset()
