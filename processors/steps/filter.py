"""Filter: the rows for which an expression holds are not for this flow."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, Field

from processors.cel.expression import Expression
from processors.cel.site import expression
from processors.flow.plan import Plan, Site
from processors.step import Batch, Leave, State, Stepped
from schemas.vocabulary import Reason, Verdict


class Spec(BaseModel, frozen=True, extra="forbid"):
    """Takes rows out by an expression."""

    own_when: ClassVar[bool] = True

    name: str | None = Field(default=None, description="The step's name, if not `filter-<reason>`.")
    when: str = Field(description="CEL: the rows for which it holds are `filtered`. One on which it fails goes to review.")
    reason: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,63}$", examples=["cancelled"])] = Field(
        description="Why, in a word: the rule's name in the ledger."
    )


@dataclass(frozen=True, slots=True)
class Filter:
    """Takes rows out by an expression."""

    name: str
    holds: Expression
    reason: str
    stateful: bool = False

    async def run(self, batch: Batch, state: State) -> Stepped:
        """The expression over the columns."""
        found = self.holds.evaluate(batch.columns)
        leaves = []
        if len(found.true):
            leaves.append(Leave(found.true, Verdict.FILTERED, Reason.FILTER, self.reason, f"`{self.holds.source}` holds"))
        if len(found.failed):
            sentence = f"`{self.holds.source}` could not be evaluated"
            leaves.append(Leave(found.failed, Verdict.REVIEW, Reason.RULE_FAILED, self.reason, sentence))
        gone = np.concatenate([found.true, found.failed])
        return Stepped(batch.without(gone), tuple(leaves), state, counts={"filtered": float(len(found.true))})


def plan(spec: Spec, at: Site, columns: Mapping[str, pa.DataType]) -> Plan:
    """Needs what its expression names, gives nothing."""
    name = spec.name or f"filter-{spec.reason}"
    holds = expression(at, "when", spec.when, columns)
    return Plan(name, holds.needs, {}, lambda _: Filter(name, holds, spec.reason))
