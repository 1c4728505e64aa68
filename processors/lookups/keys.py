"""The keys of a lookup: a template such as `weather:{origin}:{time_hour}`, filled for a whole batch."""

import re
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from processors.arrays import as_type, filled

_PART = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")


@dataclass(frozen=True, slots=True)
class Distinct:
    """The different keys of a batch, and which of them each row has."""

    keys: list[str]
    index: npt.NDArray[np.int64]  # (n,) index into keys; len(keys) where a part is null


@dataclass(frozen=True, slots=True)
class Template:
    """Words and columns in turn: `words[0]`, `columns[0]`, `words[1]`, ..."""

    words: tuple[str, ...]
    columns: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `word:{column}:{column}`.

        Raises:
            ValueError: it has no column, or a brace too many.
        """
        parts = _PART.split(text)
        words, columns = tuple(parts[::2]), tuple(parts[1::2])
        if not columns:
            raise ValueError("a lookup's key needs a column in braces, e.g. plane:{tailnum}")
        if any("{" in word or "}" in word for word in words):
            raise ValueError("a brace here has no partner, or what it holds is no column's name")
        return cls(words, columns)

    def distinct(self, batch: pa.RecordBatch) -> Distinct:
        """Each different key once."""
        if len(self.columns) == 1:
            coded = as_type(batch.column(self.columns[0]), pa.string()).dictionary_encode()
            keys = [f"{self.words[0]}{value}{self.words[1]}" for value in coded.dictionary.to_pylist()]
        else:
            coded = self._joined(batch).dictionary_encode()
            keys = coded.dictionary.to_pylist()
        return Distinct(keys, filled(coded.indices, len(keys)).to_numpy().astype(np.int64))

    def _joined(self, batch: pa.RecordBatch) -> pa.Array:
        parts = [pa.scalar(self.words[0])]
        for word, column in zip(self.words[1:], self.columns, strict=True):
            parts += [as_type(batch.column(column), pa.string()), pa.scalar(word)]
        return pc.binary_join_element_wise(*parts, "")


def suits(type_: pa.DataType) -> bool:
    """Whether a column of this type may be part of a key."""
    return bool(pa.types.is_string(type_) or pa.types.is_integer(type_))
