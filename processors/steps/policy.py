"""Policy: ordered CEL rules mask, stop, quarantine or send to review, and the deciding rule is named."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
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
    """Applies a policy. Gives the column `rule`: the first mask that hid something, else null.

    Which rule ends a row's way is a matter of order, what is hidden is not: a mask hides wherever it stands, also in rows that another rule
    sets aside, so that nobody sees in a review or in the ledger what the result would not show. A mask that fails on a row hides too.
    """

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
            if rule.then == "mask" and len(found.true) + len(found.failed):
                masks.append((rule, np.concatenate([found.true, found.failed])))
            hit, failed = (rows[~gone[rows]] for rows in (found.true, found.failed))
            counts[f"rule:{rule.name}"] = float(len(hit))
            if len(failed):
                sentence = f"`{rule.when}` could not be evaluated"
                leaves.append(Leave(failed, Verdict.REVIEW, Reason.RULE_FAILED, rule.name, sentence))
                gone[failed] = True
            if len(hit) and rule.then != "mask":
                leaves.append(Leave(hit, _VERDICTS[rule.then], Reason.POLICY, rule.name, rule.sentence))
                gone[hit] = True
        masked = _masked(batch, masks)
        if masks:
            leaves = [replace(leave, columns=masked.columns.take(pa.array(leave.rows))) for leave in leaves]
        return Stepped(masked.with_column(RULE, _names(batch, masks)).without(np.flatnonzero(gone)), tuple(leaves), state, counts=counts)


def _masked(batch: Batch, masks: Sequence[tuple[PolicyRule, Rows]]) -> Batch:
    for rule, rows in masks:
        for column in rule.columns:
            batch = batch.with_column(column, _hide(batch.columns.column(column), _flags(batch, rows), rule.into))
    return batch


def _names(batch: Batch, masks: Sequence[tuple[PolicyRule, Rows]]) -> pa.Array:
    """For each row the first mask."""
    names = pa.nulls(len(batch), pa.string())
    for rule, rows in masks:
        names = pc.coalesce(names, pc.if_else(pa.array(_flags(batch, rows)), rule.name, pa.scalar(None, pa.string())))
    return names


def _flags(batch: Batch, rows: Rows) -> npt.NDArray[np.bool_]:
    flags = np.zeros(len(batch), dtype=np.bool_)
    flags[rows] = True
    return flags


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
