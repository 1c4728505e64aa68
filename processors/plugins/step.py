"""All that a step plugin imports: the words of a step, its mistakes and its rows. docs/plugins.md says how to write one."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from processors.cel.expression import Expression
from processors.cel.site import expression
from processors.flow.plan import Parts, Plan, Site
from processors.step import Batch, Leave, Signal, State, Step, Stepped
from schemas.vocabulary import Reason, Verdict

__all__ = [
    "Batch", "Example", "Expression", "Field", "Leave", "Parts", "Plan", "Reason", "Signal", "Site", "State", "Step", "StepSpec", "Stepped",
    "Verdict", "expression", "takes",
]  # fmt: skip


class StepSpec(BaseModel):
    """What every step may be told in a flow file; a plugin's `Spec` adds its own words."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str | None = Field(default=None, description="The step's name, if not its word.")
    when: str | None = Field(default=None, description="CEL: run the step only on the rows for which it holds.")


def takes(at: Site, said_at: str, name: str, columns: Mapping[str, pa.DataType], fits: Callable[[pa.DataType], bool]) -> bool:
    """Whether there is a column of that name whose type fits (e.g. `pa.types.is_timestamp`); else a mistake at `said_at`."""
    if name not in columns:
        at.mistake(said_at, f"there is no column `{name}` here", wrong_word=name, valid=columns)
    elif not fits(columns[name]):
        others = [other for other, kind in columns.items() if fits(kind)]
        at.mistake(said_at, f"`{name}` is {columns[name]}, which this step does not take", wrong_word=name, valid=others)
    else:
        return True
    return False


@dataclass(frozen=True, slots=True)
class Example:
    """What `weft plugin test` tries a step with. The rows are repeated until there are enough of them."""

    told: Mapping[str, Any]  # what stands under the step's word in a flow file
    columns: Mapping[str, Sequence[Any]]  # by name; lists, or Arrow arrays where the type matters; of equal length
    files: Mapping[str, str] = field(default_factory=dict)  # of the project, by `<kind>/<name>`
    lookup: Mapping[str, bytes] = field(default_factory=dict)  # what the lookup finds
