"""Policy: the first rule that ends a row's way decides, masks hide, and the rule is named."""

from typing import Any

import pyarrow as pa
import pytest

from processors.plugins.case import batch_of, types
from processors.step import Stepped
from schemas.vocabulary import Reason, Verdict
from tests.contract.step_examples import Built


def built(rules: str, columns: pa.RecordBatch) -> Built:
    """The step with these rules."""
    return Built("policy", {"rules": "p"}, types(columns), {"policies/p.yaml": f"rules:\n{rules}"})


async def run(rules: str, **columns: Any) -> Stepped:
    """The step on these columns."""
    batch = pa.RecordBatch.from_pydict(columns)
    return await built(rules, batch).step().run(batch_of(batch), {})


async def test_the_first_rule_that_ends_a_rows_way_decides() -> None:
    rules = """
  - {name: stop, when: x == 1, then: stop, sentence: A.}
  - {name: aside, when: x <= 2, then: quarantine, sentence: B.}
  - {name: ask, when: x <= 3, then: review, sentence: C.}
"""
    stepped = await run(rules, x=[4, 3, 2, 1])
    assert {(leave.rule, leave.verdict, leave.reason, leave.sentence): leave.rows.tolist() for leave in stepped.leaves} == {
        ("stop", Verdict.FILTERED, Reason.POLICY, "A."): [3],
        ("aside", Verdict.QUARANTINE, Reason.POLICY, "B."): [2],
        ("ask", Verdict.REVIEW, Reason.POLICY, "C."): [1],
    }
    assert stepped.batch.columns.column("rule").to_pylist() == [None]


async def test_a_mask_hides_columns_and_the_row_goes_on_with_its_rule() -> None:
    rules = """
  - {name: empty, when: x == 1, then: mask, columns: [x, s], sentence: A.}
  - {name: short, when: x <= 2, then: mask, columns: [t], into: hash, sentence: B.}
"""
    stepped = await run(rules, x=[1, 2, 3, 2], s=["a", "b", "c", "d"], t=["p", "p", "p", None])
    columns = {name: stepped.batch.columns.column(name).to_pylist() for name in stepped.batch.columns.schema.names}
    assert columns["x"] == [None, 2, 3, 2]
    assert columns["s"] == [None, "b", "c", "d"]
    assert columns["rule"] == ["empty", "short", None, "short"]
    assert columns["t"][0] == columns["t"][1] != "p"
    assert len(columns["t"][0]) == 16
    assert columns["t"][2:] == ["p", None]


async def test_later_rules_see_what_a_mask_hid() -> None:
    rules = """
  - {name: hide, when: x == 1, then: mask, columns: [x], sentence: A.}
  - {name: ask, when: x == 1, then: review, sentence: B.}
"""
    assert [leave.rule for leave in (await run(rules, x=[1])).leaves] == ["ask"]


async def test_a_rule_that_fails_on_a_row_sends_it_to_review_unless_an_earlier_one_decided() -> None:
    rules = """
  - {name: first, when: s == "a", then: stop, sentence: A.}
  - {name: second, when: x > 1, then: stop, sentence: B.}
"""
    stepped = await run(rules, x=pa.array([None, None, 1], pa.int64()), s=["a", "b", "c"])
    found = {(leave.rule, leave.reason): leave.rows.tolist() for leave in stepped.leaves}
    assert found == {("first", Reason.POLICY): [0], ("second", Reason.RULE_FAILED): [1]}


def test_the_plan_says_what_a_mask_may_make_null() -> None:
    rules = """
  - {name: a, when: x == 1, then: mask, columns: [s], sentence: A.}
  - {name: b, when: x == 1, then: mask, columns: [t], into: hash, sentence: A.}
"""
    made = built(rules, pa.RecordBatch.from_pydict({"x": [1], "s": ["a"], "t": ["a"]}))
    assert dict(made.plan.gives) == {"rule": pa.string(), "s": pa.string(), "t": pa.string()}
    assert made.plan.nullable == {"rule", "s"}
    assert made.plan.needs == {"x", "s", "t"}


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("when: y == 1, then: stop", "there is no column `y` here"),
        ("when: x == 1, then: mask", "`mask` needs `columns`"),
        ("when: x == 1, then: stop, columns: [x]", "only `mask` has `columns`"),
        ("when: x == 1, then: mask, columns: [y]", "there is no column `y` here"),
        ("when: x == 1, then: mask, columns: [x], into: hash", "only a string can be hashed"),
        ("when: x == 1, then: revue", "`revue` can't stand here"),
    ],
)
def test_a_wrong_rule_is_told_in_its_own_file(rule: str, said: str) -> None:
    made = built(f"  - {{name: one, {rule}, sentence: A.}}", pa.RecordBatch.from_pydict({"x": [1]}))
    (mistake,) = made.mistakes
    assert said in mistake.sentence
    assert (mistake.file, mistake.line) == ("policies/p.yaml", 2)
