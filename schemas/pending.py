"""An event that waits for a person or for time, or is sent again, with all that is needed to go on: `weft.Pending`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import pyarrow as pa

from schemas.codecs.single_object import SingleObject
from schemas.contracts import built_in
from schemas.positions import Position

_PENDING: Final = SingleObject(built_in()["weft.Pending"])
_DECISION: Final = SingleObject(built_in()["weft.Decision"])

_PLAIN: Final = (
    "generation", "event_id", "flow", "version", "step_index", "step", "first_consumed_ms", "due_ms", "attempt",
    "key", "value", "timestamp_ms", "columns", "reason", "rule", "sentence",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Pending:
    """What a record of `.reviews`, `.retry.*` or (redriven) `.resume` holds. Times are milliseconds since 1970."""

    root: Position
    generation: int
    number: int  # of the pass: of a review, the one that wrote it; else the one that this record starts
    event_id: str
    flow: str
    version: str  # of the flow under which it goes on
    step_index: int  # where it goes on; of a review, the step that asked
    step: str
    first_consumed_ms: int
    due_ms: int  # when a retry is due, or a review expires
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]] | None  # None where the flow does not read them
    timestamp_ms: int  # of the original record
    columns: bytes | None = None  # the columns so far, see `pack`
    attempt: int = 0  # index into the flow's retries
    reason: str = ""
    rule: str = ""
    sentence: str = ""  # what the asking step says to a person


def encode(pending: Pending) -> bytes:
    """The record's value.

    Raises:
        ValueError: a field is of another type.
    """
    datum = {name: getattr(pending, name) for name in _PLAIN}
    headers = pending.headers
    datum["root"] = str(pending.root)
    datum["pass"] = pending.number
    datum["headers"] = None if headers is None else [{"name": name, "value": value} for name, value in headers]
    return _PENDING.encode(datum)


def decode(value: bytes) -> Pending:
    """Read a record's value.

    Raises:
        ValueError: it is no `weft.Pending`.
    """
    datum = _PENDING.decode(value)
    headers = datum["headers"]
    return Pending(
        root=Position.parse(datum["root"]),
        number=datum["pass"],
        headers=None if headers is None else [(header["name"], header["value"]) for header in headers],
        **{name: datum[name] for name in _PLAIN},
    )


def kind(value: bytes | None) -> Literal["pending", "decision"] | None:
    """What a record on a resume or retry topic is, by its fingerprint; None if Weft did not write it."""
    if value is None:
        return None
    if value.startswith(_PENDING.header):
        return "pending"
    return "decision" if value.startswith(_DECISION.header) else None


def pack(columns: pa.RecordBatch) -> bytes:
    """One row's columns as an Arrow IPC stream."""
    out = pa.BufferOutputStream()
    with pa.ipc.new_stream(out, columns.schema) as stream:
        stream.write_batch(columns)
    return bytes(out.getvalue())


def unpack(packed: bytes) -> pa.RecordBatch:
    """The one row that `pack` packed.

    Raises:
        ValueError: it is none.
    """
    try:
        with pa.ipc.open_stream(packed) as stream:
            columns = stream.read_next_batch()
            columns.validate(full=True)
    except (pa.ArrowException, OSError, StopIteration) as error:
        raise ValueError(f"these are no packed columns: {error}") from error
    if columns.num_rows != 1:
        raise ValueError(f"one row was packed, {columns.num_rows} are here")
    return columns
