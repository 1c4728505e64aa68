"""Policy: ordered CEL rules mask, stop, quarantine or send to review, and the deciding rule is named."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, Field

from processors.cel.expression import Expression
from processors.cel.site import expression
from processors.flow.plan import Plan, Site
from processors.policies.model import Policy, PolicyRule
from processors.step import RULE, Batch, Leave, Rows, State, Stepped
from schemas.vocabulary import Reason, Verdict

_VERDICTS = {"stop": Verdict.FILTERED, "quarantine": Verdict.QUARANTINE, "review": Verdict.REVIEW}


class Spec(BaseModel, frozen=True, extra="forbid"):
    """Applies a policy."""

    name: str | None = Field(default=None, description="The step's name, if not `policy-<rules>`.")
    when: str | None = Field(default=None, description="CEL: run the step only on the rows for which it holds.")
    rules: str = Field(description="The policy file: `policies/<name>.yaml`.")


@dataclass(frozen=True, slots=True)
class Apply:
    """Applies a policy. Gives the column `rule`: the first mask that hid something, else null."""

    name: str
    rules: tuple[tuple[PolicyRule, Expression], ...]
    stateful: bool = False

    async def run(self, batch: Batch, state: State) -> Stepped:
        """Every rule over the columns as they came, in order."""
        gone = np.zeros(len(batch), dtype=np.bool_)
        masks: list[tuple[PolicyRule, Rows]] = []
        leaves, counts = [], {}
        for rule, holds in self.rules:
            found = holds.evaluate(batch.columns)
            hit, failed = (rows[~gone[rows]] for rows in (found.true, found.failed))
            counts[f"rule:{rule.name}"] = float(len(hit))
            if len(failed):
                sentence = f"`{rule.when}` could not be evaluated"
                leaves.append(Leave(failed, Verdict.REVIEW, Reason.RULE_FAILED, rule.name, sentence))
                gone[failed] = True
            if len(hit) and rule.then == "mask":
                masks.append((rule, hit))
            elif len(hit):
                leaves.append(Leave(hit, _VERDICTS[rule.then], Reason.POLICY, rule.name, rule.sentence))
                gone[hit] = True
        return Stepped(_masked(batch, masks).without(np.flatnonzero(gone)), tuple(leaves), state, counts=counts)


def _masked(batch: Batch, masks: list[tuple[PolicyRule, Rows]]) -> Batch:
    names = pa.nulls(len(batch), pa.string())
    for rule, rows in masks:
        hidden = np.zeros(len(batch), dtype=np.bool_)
        hidden[rows] = True
        names = pc.coalesce(names, pc.if_else(pa.array(hidden), rule.name, pa.scalar(None, pa.string())))
        for column in rule.columns:
            batch = batch.with_column(column, _hide(batch.columns.column(column), hidden, rule.into))
    return batch.with_column(RULE, names)


def _hide(column: pa.Array, hidden: npt.NDArray[np.bool_], into: str) -> pa.Array:
    if into == "null":
        return pc.if_else(pa.array(hidden), pa.scalar(None, column.type), column)
    distinct = column.filter(pa.array(hidden)).dictionary_encode()
    hashes = [None if value is None else blake2b(value.encode(), digest_size=8).hexdigest() for value in distinct.dictionary.to_pylist()]
    replaced = pa.DictionaryArray.from_arrays(distinct.indices, pa.array(hashes, pa.string())).cast(column.type)
    return pc.replace_with_mask(column, pa.array(hidden), replaced)


def plan(spec: Spec, at: Site, columns: Mapping[str, pa.DataType]) -> Plan:
    """Needs what its rules name; gives `rule` and the columns that it masks."""
    name = spec.name or f"policy-{spec.rules}"
    file = at.open("policies", spec.rules, "rules")
    policy = file.load(Policy) if file else None
    rules: list[tuple[PolicyRule, Expression]] = []
    if file and policy:
        for index, rule in enumerate(policy.rules):
            here = file.below("rules", index)
            if any(rule.name == other.name for other in policy.rules[:index]):
                here.mistake("name", f"a rule before this one is named `{rule.name}` too")
            _check_columns(rule, here, columns)
            rules.append((rule, expression(here, "when", rule.when, columns)))
    masked = {column for rule, _ in rules for column in rule.columns if column in columns}
    nulled = {column for rule, _ in rules for column in rule.columns if rule.into == "null"}
    needs = frozenset(masked).union(*(holds.needs for _, holds in rules))
    gives = {RULE: pa.string(), **{column: columns[column] for column in sorted(masked)}}
    nullable = frozenset({RULE}) | (masked & (nulled | at.nullable))
    return Plan(name, needs, gives, lambda _: Apply(name, tuple(rules)), nullable)


def _check_columns(rule: PolicyRule, here: Site, columns: Mapping[str, pa.DataType]) -> None:
    for index, column in enumerate(rule.columns):
        if column not in columns:
            here.mistake(("columns", index), f"there is no column `{column}` here", wrong_word=column, valid=columns)
        elif rule.into == "hash" and not pa.types.is_string(columns[column]):
            here.mistake(("columns", index), f"`{column}` is {columns[column]}; only a string can be hashed")
