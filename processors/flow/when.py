"""Runs another step only on the rows for which an expression holds; the others pass it by, with nulls in the columns that it would give."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from processors.cel.expression import Expression
from processors.step import Batch, Leave, State, Step, Stepped
from schemas.vocabulary import Reason, Verdict


@dataclass(frozen=True, slots=True)
class When:
    """A step and its `when`. A row on which the expression fails goes to review: fails closed."""

    step: Step
    expression: Expression
    gives: Mapping[str, pa.DataType]

    @property
    def name(self) -> str:
        """The inner step's."""
        return self.step.name

    @property
    def stateful(self) -> bool:
        """As the inner step."""
        return self.step.stateful

    async def run(self, batch: Batch, state: State) -> Stepped:
        """The inner step on some rows; order is kept."""
        evaluated = self.expression.evaluate(batch.columns)
        inside, failed = evaluated.true, evaluated.failed
        outside = np.setdiff1d(np.arange(len(batch), dtype=np.int64), np.concatenate([inside, failed]), assume_unique=True)
        stepped = await self.step.run(batch.take(inside), state) if len(inside) else Stepped(batch.take(inside), state=state)
        leaves = [replace(leave, rows=inside[leave.rows]) for leave in stepped.leaves]
        if len(failed):
            sentence = f"`{self.expression.source}` could not be evaluated"
            leaves.append(Leave(failed, Verdict.REVIEW, Reason.RULE_FAILED, "when", sentence))
        kept = self._merged(stepped.batch, batch.take(outside))
        return replace(stepped, batch=kept, leaves=tuple(leaves))

    def _merged(self, ran: Batch, passed: Batch) -> Batch:
        """Both, in the order of the intake."""
        parts = [self._complete(part) for part in (ran, passed)]
        columns = pa.concat_batches([parts[0].columns, parts[1].columns.select(parts[0].columns.schema.names)])
        origin = np.concatenate([ran.origin, passed.origin])
        order = np.argsort(origin, kind="stable")
        return Batch(columns, origin, ran.intake).take(order)

    def _complete(self, batch: Batch) -> Batch:
        """With all columns that the step gives."""
        for name, type_ in self.gives.items():
            if name not in batch.columns.schema.names:
                batch = batch.with_column(name, pa.nulls(len(batch), type_))
        return batch
