"""Validate: what each kind of row rule holds, and what a dead letter says."""

from typing import Any

import pyarrow as pa
import pytest

from processors.plugins.case import batch_of, types
from processors.step import Stepped
from schemas.vocabulary import Reason, Verdict
from tests.contract.step_examples import Built


def built(rules: str, columns: pa.RecordBatch) -> Built:
    """The step with these rules."""
    return Built("validate", {"rules": "r"}, types(columns), {"rules/r.yaml": f"rules:\n{rules}"})


async def run(rules: str, **columns: Any) -> Stepped:
    """The step on these columns."""
    batch = pa.RecordBatch.from_pydict(columns)
    return await built(rules, batch).step().run(batch_of(batch), {})


@pytest.mark.parametrize(
    ("rule", "values", "broken"),
    [
        ("not_null: true", ["a", None, ""], [1]),
        ("in_set: [a, b]", ["a", None, "c", "b"], [2]),
        ("in_set: [1, 2]", pa.array([1, 3, None], pa.int32()), [1]),
        ("between: [0, 2.5]", [0.0, 2.5, -0.1, 2.6, None, float("nan"), float("inf")], [2, 3, 5, 6]),
        ("between: [null, 2]", pa.array([-(2**31), 2, 3, None], pa.int32()), [2]),
        ("between: [9007199254740993, null]", [9007199254740992, 9007199254740993], [0]),
        ("matches: '^[A-Z]+$'", ["AB", "Ab", None, "é", ""], [1, 3, 4]),
        ("length: [1, 2]", ["é\U0001f600", "", "abc", None], [1, 2]),
    ],
)
async def test_each_kind_of_rule_refuses_what_breaks_it_and_lets_null_pass(rule: str, values: Any, broken: list[int]) -> None:
    stepped = await run(f"  - {{name: it, column: x, {rule}, sentence: It must fit.}}", x=values)
    assert [leave.rows.tolist() for leave in stepped.leaves] == [broken]
    (leave,) = stepped.leaves
    assert (leave.verdict, leave.reason, leave.rule) == (Verdict.DEAD_LETTER, Reason.INVALID, "it")


async def test_the_first_broken_rule_in_the_file_decides() -> None:
    rules = "  - {name: one, column: x, between: [0, 9], sentence: A.}\n  - {name: two, column: x, between: [5, 9], sentence: B.}"
    stepped = await run(rules, x=[1, 10, 7])
    assert {leave.rule: leave.rows.tolist() for leave in stepped.leaves} == {"one": [1], "two": [0]}
    assert stepped.batch.columns.column("x").to_pylist() == [7]


async def test_the_sentence_shows_the_value_cut_to_a_bound() -> None:
    rule = "  - {name: one, column: x, matches: '^a$', sentence: It must be a.}"
    (leave,) = (await run(rule, x=["b", "c" * 5_000])).leaves
    assert leave.sentences is not None
    assert leave.sentences[0] == "It must be a. (x is 'b')"
    assert len(leave.sentences[1]) < 120


async def test_a_personal_value_stays_out_of_the_sentence() -> None:
    (leave,) = (await run("  - {name: one, column: x, matches: '^a$', sentence: It must be a., show: false}", x=["secret"])).leaves
    assert leave.sentences is None
    assert leave.sentence == "It must be a."


async def test_a_rule_in_cel_that_fails_sends_the_row_to_review() -> None:
    stepped = await run("  - {name: one, holds: x > 1.0, sentence: More.}", x=[2.0, None, 0.0])
    found = {(leave.verdict, leave.reason): leave.rows.tolist() for leave in stepped.leaves}
    assert found == {(Verdict.DEAD_LETTER, Reason.INVALID): [2], (Verdict.REVIEW, Reason.RULE_FAILED): [1]}


@pytest.mark.parametrize(
    ("rule", "said", "hint"),
    [
        ("column: tailnums, not_null: true", "there is no column `tailnums` here", "did you mean `tailnum`?"),
        ("column: tailnum, between: [1, 2]", "`between` does not suit `tailnum`, which is string", ""),
        ("column: tailnum, in_set: [1]", "not all of these are string, as the column is", ""),
        ("column: tailnum, matches: '['", "this is no regular expression", ""),
        ("column: tailnum, length: [3, 1]", "nothing is between 3 and 1", ""),
        ("column: tailnum, length: [0, 1], not_null: true", "a rule says exactly one of", ""),
        ("column: tailnum", "this one says none", ""),
        ("between: [1, 2]", "`between` needs a `column`", ""),
        ("holds: tailnum > 1", "`>` can't compare string with int", ""),
        ("column: tailnum, not_nul: true", "there is no word `not_nul` here", "did you mean `not_null`?"),
    ],
)
def test_a_wrong_rule_is_told_in_its_own_file(rule: str, said: str, hint: str) -> None:
    made = built(f"  - {{name: one, {rule}, sentence: A.}}", pa.RecordBatch.from_pydict({"tailnum": ["a"]}))
    told = [mistake for mistake in made.mistakes if said in mistake.sentence]
    assert told, made.mistakes
    assert (told[0].file, told[0].line) == ("rules/r.yaml", 2)
    assert told[0].hint == hint or not hint


def test_a_missing_file_and_a_name_used_twice_are_mistakes() -> None:
    columns = pa.RecordBatch.from_pydict({"x": [1]})
    missing = Built("validate", {"rules": "q"}, types(columns), {"rules/r.yaml": ""})
    assert [str(mistake) for mistake in missing.mistakes] == ["flow.yaml:1:11: there is no file rules/q.yaml (valid: `r`)"]
    twice = built("  - {name: a, column: x, not_null: true, sentence: A.}\n" * 2, columns)
    assert [mistake.sentence for mistake in twice.mistakes] == ["a rule before this one is named `a` too"]
