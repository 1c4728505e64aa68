"""Codes: each word of a column as a whole number, its place in a list; -1 for any other word and for none."""

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from processors.plugins.step import Batch, Example, Field, Plan, Site, State, Stepped, StepSpec, takes


class Spec(StepSpec):
    """What a flow file tells it."""

    columns: Mapping[str, tuple[str, ...]] = Field(description="By column, the words in the order of their numbers.")


@dataclass(frozen=True)
class Codes:
    """Gives `<column>_code` for each column."""

    name: str
    columns: Mapping[str, tuple[str, ...]]
    stateful: bool = False

    async def run(self, batch: Batch, state: State) -> Stepped:
        """Look each word up."""
        for column, words in self.columns.items():
            found = pc.index_in(batch.columns.column(column).cast(pa.string()), pa.array(words))
            batch = batch.with_column(f"{column}_code", found.cast(pa.int64()).fill_null(-1))
        return Stepped(batch, state=state)


def plan(spec: Spec, at: Site, columns: Mapping[str, pa.DataType]) -> Plan:
    """Needs the columns, gives their codes."""
    name = spec.name or "codes"
    for column in spec.columns:
        takes(at, f"columns.{column}", column, columns, lambda kind: pa.types.is_string(kind) or pa.types.is_boolean(kind))
    gives = {f"{column}_code": pa.int64() for column in spec.columns}
    return Plan(name, frozenset(spec.columns), gives, lambda _: Codes(name, spec.columns))


EXAMPLE = Example({"columns": {"colour": ["red", "blue"]}}, {"colour": ["red", None, "green", "blue"]})
