"""What every codec answers: columns of the rows that are good, and what is wrong with the others."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schemas.vocabulary import Reason


class Bad(NamedTuple):
    """A value that is no datum."""

    row: int
    reason: Reason
    sentence: str
    may_mend: bool = False  # read again later it may be one: its schema is not registered as yet


@dataclass(frozen=True, slots=True)
class Decoded:
    """n values, decoded: the good rows as columns, in order, and the bad ones, in order."""

    columns: pa.RecordBatch
    good: npt.NDArray[np.int64]  # row of each row of columns, ascending
    bad: Sequence[Bad] = ()


class Decoder(Protocol):
    """Reads values of one encoding into the columns of one schema."""

    @property
    def arrow_schema(self) -> pa.Schema:
        """The columns it gives, always the same (see `layout`)."""

    def decode(self, values: Sequence[bytes]) -> Decoded:
        """Decode n values. Never raises for what is in them.

        Raises:
            UnreachableError: the schema registry is needed and can't be reached.
        """


@runtime_checkable
class HeadedDecoder(Decoder, Protocol):
    """A decoder to which headers say how a value is to be read."""

    def decode_headed(self, values: Sequence[bytes], headers: Sequence[Sequence[tuple[str, bytes | None]]]) -> Decoded:
        """Decode n values with their headers."""


class Encoder(Protocol):
    """Writes columns of one schema as values of one encoding."""

    @property
    def content_type(self) -> str:
        """The media type of a value."""

    def encode(self, columns: pa.RecordBatch) -> list[bytes]:
        """One value a row. The columns are exactly those of the schema.

        Raises:
            ValueError: a row does not fit.
        """


def joined(schema: pa.Schema, pieces: Sequence[pa.RecordBatch], good: Sequence[int], bad: Sequence[Bad]) -> Decoded:
    """Pieces put together; `good` names their rows, one after another, in any order."""
    columns = pa.RecordBatch.from_pylist([], schema) if not pieces else pieces[0] if len(pieces) == 1 else pa.concat_batches(pieces)
    rows = np.fromiter(good, np.int64, len(good))
    if len(rows) > 1 and (np.diff(rows) < 0).any():
        order = np.argsort(rows, kind="stable")
        columns, rows = columns.take(pa.array(order)), rows[order]
    return Decoded(columns, rows, sorted(bad))
