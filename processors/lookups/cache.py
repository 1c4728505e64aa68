"""A bounded cache of lookup rows, kept as columns: two generations, of which the older one is dropped when the younger is full."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa


@dataclass(slots=True)
class _Generation:
    """Rows in the order they came; a key that came twice stands for its last row."""

    rows: pa.RecordBatch
    loaded_s: npt.NDArray[np.float64]
    slots: dict[str, int] = field(default_factory=dict)


class Cache:
    """Holds between `entries / 2` and `entries` of the last keys, each for at most `fresh_s` seconds."""

    def __init__(self, schema: pa.Schema, entries: int, fresh_s: float) -> None:
        self._half = max(1, entries // 2)
        self._fresh_s = fresh_s
        self._empty = pa.RecordBatch.from_arrays([pa.array([], column.type) for column in schema], schema=schema)
        self._old, self._young = self._new(), self._new()

    def __len__(self) -> int:
        """How many rows are kept."""
        return int(self._old.rows.num_rows + self._young.rows.num_rows)

    def get(self, keys: Sequence[str], now_s: float) -> tuple[list[pa.RecordBatch], npt.NDArray[np.int64]]:
        """The rows that are here, in parts, and for each key its row in the parts put together (-1 where there is none, or none fresh)."""
        oldest = now_s - self._fresh_s
        at = np.full(len(keys), -1, dtype=np.int64)
        parts, size = [], 0
        for generation in (self._old, self._young):
            slots = np.fromiter(map(generation.slots.get, keys, [-1] * len(keys)), dtype=np.int64, count=len(keys))
            here = np.flatnonzero(slots >= 0)
            here = here[generation.loaded_s[slots[here]] > oldest]
            at[here] = np.arange(size, size + len(here))
            parts.append(generation.rows.take(pa.array(slots[here])))
            size += len(here)
        return parts, at

    def put(self, keys: Sequence[str], rows: pa.RecordBatch, now_s: float) -> None:
        """Keep the rows of these keys, of many only the last."""
        keys, rows = keys[-self._half :], rows.slice(max(0, rows.num_rows - self._half))
        if self._young.rows.num_rows + len(keys) > self._half:
            self._old, self._young = self._young, self._new()
        young = self._young
        young.slots.update(zip(keys, range(young.rows.num_rows, young.rows.num_rows + len(keys)), strict=True))
        young.rows = pa.concat_batches([young.rows, rows])
        young.loaded_s = np.concatenate([young.loaded_s, np.full(len(keys), now_s)])

    def _new(self) -> _Generation:
        return _Generation(self._empty, np.empty(0, dtype=np.float64))
