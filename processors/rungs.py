"""The rungs of a model ladder: who may answer about rows, a model or a rule."""

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from processors.arrays import filled, flags
from processors.cel.expression import Expression
from processors.ports import Models
from processors.step import Batch, Rows
from schemas.errors import FailedError


class Answered(NamedTuple):
    """What a rung says about rows; a null or NaN is no answer."""

    columns: pa.RecordBatch
    model: str


class Rung(Protocol):
    """One step of the ladder."""

    async def ask(self, batch: Batch, rows: Rows) -> Answered:
        """About these rows of the batch.

        Raises:
            UnreachableError, FailedError: it does not answer.
            UsageError: it can't be asked: its manifest is missing, or fits the flow no more.
        """


@dataclass(frozen=True, slots=True)
class AskModel:
    """A model answers."""

    models: Models
    model: str
    route: str
    inputs: tuple[str, ...]
    gives: pa.Schema
    timeout_s: float

    async def ask(self, batch: Batch, rows: Rows) -> Answered:
        """One call."""
        columns = _rows(batch.columns.select(list(self.inputs)), rows)
        keys = [batch.intake.keys[row] for row in batch.origin[rows].tolist()]
        answer = await self.models.infer(self.model, self.route, columns, keys, self.timeout_s)
        missing = [name for name in self.gives.names if name not in answer.columns.schema.names]
        if missing or answer.columns.num_rows != len(rows):
            raise FailedError(
                f"{answer.model} answered about {answer.columns.num_rows} of {len(rows)} rows, without {missing or 'nothing'}"
            )
        try:
            return Answered(answer.columns.select(self.gives.names).cast(self.gives), answer.model)
        except pa.ArrowException as error:  # the model's fault, not the rows'
            raise FailedError(f"{answer.model} gave outputs of the wrong type: {error}") from error


@dataclass(frozen=True, slots=True)
class AskRule:
    """A rule answers."""

    rule: Expression
    gives: pa.Schema

    async def ask(self, batch: Batch, rows: Rows) -> Answered:
        """Evaluate it."""
        values = self.rule.evaluate(_rows(batch.columns, rows)).values
        return Answered(pa.RecordBatch.from_arrays([values], schema=self.gives), f"rule:{self.rule.source}")


def _rows(columns: pa.RecordBatch, rows: Rows) -> pa.RecordBatch:
    return columns if len(rows) == columns.num_rows else columns.take(pa.array(rows))


def answers(columns: pa.RecordBatch) -> npt.NDArray[np.bool_]:
    """Which rows have a number in every output."""
    good = np.ones(columns.num_rows, dtype=np.bool_)
    for column in columns.columns:
        finite = pc.is_finite(column) if pa.types.is_floating(column.type) else pc.is_valid(column)
        good &= flags(filled(finite, False))
    return good
