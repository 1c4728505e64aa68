"""What stands in a policy file: ordered rules in CEL, each with what it does and a sentence."""

from typing import Literal, Self

from pydantic import BaseModel, Field, model_validator

from processors.rules.model import RuleName, Sentence

Then = Literal["mask", "stop", "quarantine", "review"]


class PolicyRule(BaseModel, frozen=True, extra="forbid"):
    """One rule. All but `mask` end the row's way here; a row on which the rule fails goes to review."""

    name: RuleName = Field(description="Unique in the file; stands in the result, the ledger and the outcome.")
    when: str = Field(description="CEL over the columns as they came into the step.")
    then: Then = Field(description="`mask` hides columns, `stop` filters, `quarantine` and `review` set aside.")
    columns: tuple[str, ...] = Field(default=(), description="What `mask` hides.")
    into: Literal["null", "hash"] = Field(
        default="null", description="What stands in a masked column: nothing, or a short hash that equal values share (strings only)."
    )
    sentence: Sentence = Field(description="Says to a person why.")

    @model_validator(mode="after")
    def _columns_for_mask(self) -> Self:
        if (self.then == "mask") != bool(self.columns):
            raise ValueError("`mask` needs `columns`" if self.then == "mask" else "only `mask` has `columns`")
        return self


class Policy(BaseModel, frozen=True, extra="forbid"):
    """A policy file. The first rule that ends a row's way decides; a mask that holds hides also in rows set aside."""

    rules: tuple[PolicyRule, ...] = Field(description="In order.")

    @model_validator(mode="after")
    def _some(self) -> Self:  # not as a bound of the field: pydantic counts only the good ones, and would tell a second mistake
        if not self.rules:
            raise ValueError("there is no rule in this file")
        return self
