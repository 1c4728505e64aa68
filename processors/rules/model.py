"""What stands in a rules file: row rules, each with a name, one thing that must hold, and a sentence for the row that breaks it."""

from typing import Annotated, Self

from pydantic import BaseModel, Field, model_validator

RuleName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,63}$", examples=["delay-possible"])]
Sentence = Annotated[str, Field(min_length=1, max_length=500)]
Bound = int | float | None

HOLDS_KINDS = ("not_null", "in_set", "between", "matches", "length", "holds")


class Rule(BaseModel, frozen=True, extra="forbid"):
    """One rule. A null passes every kind but `not_null`; say `holds` where it must not."""

    name: RuleName = Field(description="Unique in the file; stands in the dead letter.")
    column: str | None = Field(default=None, description="The column that the rule is about; all kinds but `holds` need it.")
    not_null: bool | None = Field(default=None, description="`true`: there must be a value.")
    in_set: tuple[bool | int | float | str, ...] | None = Field(default=None, min_length=1, description="One of these.")
    between: tuple[Bound, Bound] | None = Field(default=None, description="At least the first and at most the second; `null` is open.")
    matches: str | None = Field(default=None, max_length=1_000, description="A regular expression (RE2) that must be found in it.")
    length: tuple[int, int] | None = Field(default=None, description="At least and at most so many characters.")
    holds: str | None = Field(default=None, description="CEL that must hold. A row on which it fails goes to review.")
    sentence: Sentence = Field(description="Says to a person what is wrong with a row that breaks the rule.")
    show: bool = Field(default=True, description="`false`: the value is personal and stays out of the sentence.")

    @property
    def kind(self) -> str:
        """Which of the kinds it is."""
        return next(kind for kind in HOLDS_KINDS if getattr(self, kind) is not None)

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        kinds = [kind for kind in HOLDS_KINDS if getattr(self, kind) is not None]
        if len(kinds) != 1:
            raise ValueError(f"a rule says exactly one of {', '.join(HOLDS_KINDS)}; this one says {' and '.join(kinds) or 'none'}")
        if (self.column is None) != (kinds == ["holds"]):
            raise ValueError("`holds` names its columns itself" if self.column else f"`{kinds[0]}` needs a `column`")
        if self.not_null is False:
            raise ValueError("`not_null` is `true` or left out")
        return self

    @model_validator(mode="after")
    def _bounds_in_order(self) -> Self:
        for low, high in filter(None, (self.between, self.length)):
            if low is not None and high is not None and low > high:
                raise ValueError(f"nothing is between {low} and {high}")
        if self.between == (None, None):
            raise ValueError("`between` needs a bound")
        return self


class Rules(BaseModel, frozen=True, extra="forbid"):
    """A rules file. The first rule that a row breaks decides."""

    rules: tuple[Rule, ...] = Field(description="In order.")

    @model_validator(mode="after")
    def _some(self) -> Self:  # not as a bound of the field: pydantic counts only the good ones, and would tell a second mistake
        if not self.rules:
            raise ValueError("there is no rule in this file")
        return self
