"""The reference that windows are compared with: per column fine bins with counts, made of a stretch of events and kept as JSON."""

from collections.abc import Mapping
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import BaseModel, Field, model_validator

from processors.drift.distance import Counts

FINE_BINS = 100
COARSE_BINS = 10


class Column(BaseModel, frozen=True, extra="forbid"):
    """One column's histogram."""

    edges: tuple[float, ...] = Field(min_length=1, max_length=FINE_BINS, description="Ascending; a bin holds the values up to its edge.")
    counts: tuple[int, ...] = Field(description="Rows per bin: null and NaN first, then one per edge, then those above the last.")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if len(self.counts) != len(self.edges) + 2:
            raise ValueError(f"{len(self.edges)} edges need {len(self.edges) + 2} counts, not {len(self.counts)}")
        if any(high <= low for low, high in zip(self.edges, self.edges[1:], strict=False)) or not np.isfinite(self.edges).all():
            raise ValueError("the edges must be finite and ascend")
        if min(self.counts) < 0 or not sum(self.counts):
            raise ValueError("counts are not negative, and not all are zero")
        return self


class Reference(BaseModel, frozen=True, extra="forbid"):
    """A drift reference."""

    flow: str = Field(description="The flow whose events it was made of.")
    time_from: str = Field(description="The first event time that counts.")
    time_to: str = Field(description="The first event time that counts no more.")
    rows: int = Field(ge=1, description="How many events.")
    columns: Mapping[str, Column] = Field(description="By name.")

    def text(self) -> str:
        """As it stands in a file: one line per column, so that a change shows."""
        head = "".join(f"  {_json(key)}: {_json(value)},\n" for key, value in self.model_dump(exclude={"columns"}).items())
        columns = ",\n".join(f"    {_json(name)}: {column.model_dump_json()}" for name, column in self.columns.items())
        return f'{{\n{head}  "columns": {{\n{columns}\n  }}\n}}\n'


def describe(values: pa.ChunkedArray | pa.Array) -> Column:
    """A numeric column's histogram: edges at its quantiles, fewer where one value is frequent.

    Raises:
        ValueError: it has no finite value.
    """
    numbers = _numbers(values)
    finite = numbers[np.isfinite(numbers)]
    if not len(finite):
        raise ValueError("there is no value in it")
    edges = np.unique(np.quantile(finite, np.arange(1, FINE_BINS) / FINE_BINS, method="inverted_cdf"))
    return Column(edges=tuple(edges.tolist()), counts=tuple(np.bincount(codes(values, edges), minlength=len(edges) + 2).tolist()))


def codes(values: pa.ChunkedArray | pa.Array, edges: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Each value's bin: 0 for null and NaN, k for values in (edges[k-2], edges[k-1]], len(edges) + 1 for those above all."""
    numbers = _numbers(values)
    return np.where(np.isnan(numbers), 0, np.searchsorted(edges, numbers, side="left") + 1)


def coarse(reference: Counts) -> npt.NDArray[np.int64]:
    """Where PSI's bins begin among the fine ones: null alone, then about ten of about equal size in the reference."""
    share = np.cumsum(reference[1:]) / max(1, reference[1:].sum())
    group = np.minimum(np.floor((share - reference[1:] / max(1, reference[1:].sum()) / 2) * COARSE_BINS), COARSE_BINS - 1)
    starts = np.flatnonzero(np.diff(group, prepend=-1)) + 1
    return np.concatenate([[0], starts]).astype(np.int64)


def _numbers(values: pa.ChunkedArray | pa.Array) -> npt.NDArray[np.float64]:
    """As doubles, null as NaN."""
    numbers: npt.NDArray[np.float64] = values.cast(pa.float64()).fill_null(float("nan")).to_numpy()
    return numbers


def _json(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)
