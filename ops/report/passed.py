"""Which rows came through which step, as their details tell."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ops.report.slab import Slab
from processors.flow.compiled import Flow
from processors.flow.writers import STEP

_RESULT: Final = "result"  # the step of what every step let pass, and the result's schema did not


class Passed:
    """Knows the order of a flow's steps. Rows of a version with other steps count as far as the steps have the same names."""

    def __init__(self, flow: Flow) -> None:
        self.flow = flow
        self._order = {step.name: number for number, step in enumerate(flow.steps)} | {_RESULT: len(flow.steps)}
        self._of: Slab | None = None  # which block the numbers are of: several ask about one
        self._numbers = np.empty(0, np.int64)

    def step(self, slab: Slab, name: str) -> npt.NDArray[np.bool_]:
        """Of the rows that have details, those that this step let pass; none of a later pass of an event, so that each counts once."""
        if slab.block.source.topic != self.flow.topics.input:
            return np.zeros(len(slab.noted), np.bool_)
        if self._of is not slab:
            self._of, self._numbers = slab, self._left(slab)
        mine: npt.NDArray[np.bool_] = self._numbers > self._order[name]
        return mine

    def given(self) -> Mapping[str, Sequence[str]]:
        """By step, the columns that it is the first to give."""
        found: dict[str, Sequence[str]] = {}
        seen: set[str] = set()
        for step, gives in zip(self.flow.steps, self.flow.gives, strict=True):
            found[step.name] = [name for name in gives if name not in seen]
            seen |= set(gives)
        return {name: columns for name, columns in found.items() if columns}

    def _left(self, slab: Slab) -> npt.NDArray[np.int64]:
        """The number of the step at which each row left; beyond all where it is a result, before all where the step is unknown."""
        if STEP not in slab.details.schema.names:
            return np.full(len(slab.noted), len(self._order), np.int64)
        left = slab.details.column(STEP).dictionary_encode()
        numbers = np.array([*(self._order.get(name, -1) for name in left.dictionary.to_pylist()), len(self._order)], np.int64)
        codes: npt.NDArray[np.int64] = left.indices.cast(pa.int64()).fill_null(len(numbers) - 1).to_numpy(zero_copy_only=False)
        return numbers[codes]
