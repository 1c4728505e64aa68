"""Decide: one word or another, by an expression."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, Field

from processors.arrays import filled
from processors.cel.expression import Expression
from processors.cel.site import expression
from processors.flow.plan import Plan, Site
from processors.step import Batch, Leave, State, Stepped
from schemas.vocabulary import Reason, Verdict

DECISION = "decision"
"""The column that it gives."""

Word = Annotated[str, Field(min_length=1, max_length=64)]


class Spec(BaseModel, frozen=True, extra="forbid"):
    """Decides between two words."""

    own_when: ClassVar[bool] = True

    name: str | None = Field(default=None, description="The step's name, if not `decide`.")
    when: str = Field(description="CEL: where it holds the decision is `as`, else `else`. A row on which it fails goes to review.")
    as_: Word = Field(alias="as", description="The decision where the expression holds.")
    else_: Word = Field(alias="else", description="The decision where it does not.")


@dataclass(frozen=True, slots=True)
class Decide:
    """Decides between two words."""

    name: str
    holds: Expression
    yes: str
    no: str
    stateful: bool = False

    async def run(self, batch: Batch, state: State) -> Stepped:
        """The expression over the columns."""
        found = self.holds.evaluate(batch.columns)
        decided = batch.with_column(DECISION, pc.if_else(filled(found.values, False), self.yes, self.no))
        if not len(found.failed):
            return Stepped(decided, state=state)
        sentence = f"`{self.holds.source}` could not be evaluated"
        leave = Leave(found.failed, Verdict.REVIEW, Reason.RULE_FAILED, self.name, sentence)
        return Stepped(decided.without(found.failed), (leave,), state)


def plan(spec: Spec, at: Site, columns: Mapping[str, pa.DataType]) -> Plan:
    """Needs what its expression names, gives `decision`."""
    name = spec.name or "decide"
    holds = expression(at, "when", spec.when, columns)
    return Plan(name, holds.needs, {DECISION: pa.string()}, lambda _: Decide(name, holds, spec.as_, spec.else_))
