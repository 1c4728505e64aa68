"""Validate: rows that break a row rule are dead letters, by the first rule that they break."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, Field

from processors.flow.plan import Plan, Site
from processors.rules.checks import Check, compile_rule
from processors.rules.model import Rule, Rules
from processors.step import Batch, Leave, Rows, State, Stepped
from schemas.vocabulary import Reason, Verdict

SHOWN_CHARACTERS = 80


class Spec(BaseModel, frozen=True, extra="forbid"):
    """Refuses rows that break a rule."""

    name: str | None = Field(default=None, description="The step's name, if not `validate`.")
    when: str | None = Field(default=None, description="CEL: run the step only on the rows for which it holds.")
    rules: str = Field(description="The rules file: `rules/<name>.yaml`.")


@dataclass(frozen=True, slots=True)
class Validate:
    """Refuses rows that break a rule."""

    name: str
    checks: tuple[Check, ...]
    stateful: bool = False

    async def run(self, batch: Batch, state: State) -> Stepped:
        """Every rule over the columns, in order."""
        gone = np.zeros(len(batch), dtype=np.bool_)
        leaves = []
        for check in self.checks:
            broken, failed = (rows[~gone[rows]] for rows in check.ask(batch.columns))
            if len(broken):
                leaves.append(_refused(check.rule, batch, broken))
            if len(failed):
                sentence = f"`{check.rule.holds}` could not be evaluated"
                leaves.append(Leave(failed, Verdict.REVIEW, Reason.RULE_FAILED, check.rule.name, sentence))
            gone[broken] = gone[failed] = True
        kept = batch.without(np.flatnonzero(gone))
        return Stepped(
            kept, tuple(leaves), state, counts={"invalid": float(sum(len(x.rows) for x in leaves if x.reason is Reason.INVALID))}
        )


def _refused(rule: Rule, batch: Batch, rows: Rows) -> Leave:
    if rule.column is None or not rule.show or rule.not_null:
        return Leave(rows, Verdict.DEAD_LETTER, Reason.INVALID, rule.name, rule.sentence)
    values = batch.columns.column(rule.column).take(pa.array(rows)).to_pylist()
    sentences = [f"{rule.sentence} ({rule.column} is {_shown(value)})" for value in values]
    return Leave(rows, Verdict.DEAD_LETTER, Reason.INVALID, rule.name, rule.sentence, sentences)


def _shown(value: Any) -> str:
    text = repr(value[: SHOWN_CHARACTERS + 1] if isinstance(value, str) else value)
    return text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + "..."


def plan(spec: Spec, at: Site, columns: Mapping[str, pa.DataType]) -> Plan:
    """Needs what its rules name, gives nothing."""
    name = spec.name or "validate"
    file = at.open("rules", spec.rules, "rules")
    loaded = file.load(Rules) if file else None
    checks: list[Check] = []
    if file and loaded:
        for index, rule in enumerate(loaded.rules):
            here = file.below("rules", index)
            if any(rule.name == other.name for other in loaded.rules[:index]):
                here.mistake("name", f"a rule before this one is named `{rule.name}` too")
            if check := compile_rule(rule, here, columns):
                checks.append(check)
    needs = frozenset[str]().union(*(check.needs for check in checks))
    return Plan(name, needs, {}, lambda _: Validate(name, tuple(checks)))
