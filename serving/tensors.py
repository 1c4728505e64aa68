"""Tensors of the Open Inference Protocol: from Arrow columns, from and to a message's bytes."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from schemas.errors import FailedError
from schemas.manifest import Input, Tensor
from serving.protocol import open_inference_grpc_pb2 as protocol

Array = npt.NDArray[Any]

NUMPY: Mapping[str, np.dtype[Any]] = {
    "BOOL": np.dtype("?"), "UINT8": np.dtype("u1"), "UINT16": np.dtype("<u2"), "UINT32": np.dtype("<u4"), "UINT64": np.dtype("<u8"),
    "INT8": np.dtype("i1"), "INT16": np.dtype("<i2"), "INT32": np.dtype("<i4"), "INT64": np.dtype("<i8"),
    "FP32": np.dtype("<f4"), "FP64": np.dtype("<f8"),
}  # fmt: skip
"""How a datatype's elements lie in a message: little-endian."""

CONTENTS: Mapping[str, str] = {
    "BOOL": "bool_contents", "UINT8": "uint_contents", "UINT16": "uint_contents", "UINT32": "uint_contents", "UINT64": "uint64_contents",
    "INT8": "int_contents", "INT16": "int_contents", "INT32": "int_contents", "INT64": "int64_contents",
    "FP32": "fp32_contents", "FP64": "fp64_contents",
}  # fmt: skip
"""The field that holds a datatype's elements where they are not raw."""


class TensorError(Exception):
    """A message's tensors are not what the manifest says; one sentence."""


def tensor(column: pa.Array, given: Input) -> Array:
    """The column as the input's tensor; its own buffer where type and nulls allow.

    Raises:
        FailedError: it has nulls that the manifest refuses.
    """
    dtype = NUMPY[given.datatype]
    if column.null_count:
        if given.null == "refuse":
            raise FailedError(f"the model's input `{given.name}` may not be null, {column.null_count} rows are")
        column = pc.fill_null(column.cast(pa.from_numpy_dtype(dtype)), float("nan") if given.null == "nan" else given.null)
    values: Array = column.to_numpy(zero_copy_only=False).astype(dtype, copy=False)
    return values.reshape(sized(given.shape, len(values)))


def ask(name: str, version: str, inputs: Sequence[Input], columns: pa.RecordBatch) -> protocol.ModelInferRequest:
    """A request about the rows of the columns."""
    request = protocol.ModelInferRequest(model_name=name, model_version=version)
    for given in inputs:
        values = tensor(columns.column(given.name), given)
        request.inputs.add(name=given.name, datatype=given.datatype, shape=values.shape)
        request.raw_input_contents.append(values.tobytes())
    return request


def given(request: protocol.ModelInferRequest, inputs: Sequence[Input]) -> dict[str, Array]:
    """The request's tensors by name, checked against the manifest; n rows each.

    Raises:
        TensorError: one is missing, unknown, twice, or of another datatype, shape or size.
    """
    raw = request.raw_input_contents
    if raw and len(raw) != len(request.inputs):
        raise TensorError(f"there are {len(request.inputs)} inputs but {len(raw)} raw contents")
    known = {one.name: one for one in inputs}
    found: dict[str, Array] = {}
    for at, sent in enumerate(request.inputs):
        if sent.name not in known:
            raise TensorError(f"there is no input `{sent.name}`; there are {_listed(known)}")
        if sent.name in found:
            raise TensorError(f"input `{sent.name}` is there twice")
        found[sent.name] = _checked(sent, raw[at] if raw else None, known[sent.name])
    if missing := [name for name in known if name not in found]:
        raise TensorError(f"inputs are missing: {_listed(missing)}")
    if len(rows := {len(values) for values in found.values()}) > 1:
        raise TensorError(f"the inputs have different numbers of rows: {', '.join(map(str, sorted(rows)))}")
    return found


def answered(response: protocol.ModelInferResponse, outputs: Sequence[Tensor], rows: int) -> pa.RecordBatch:
    """The response's tensors as columns of so many rows, in the manifest's order.

    Raises:
        TensorError: one is missing or of another datatype, shape or size.
    """
    raw = response.raw_output_contents
    found = {sent.name: (sent, raw[at] if at < len(raw) else None) for at, sent in enumerate(response.outputs)}
    columns = {}
    for one in outputs:
        if one.name not in found:
            raise TensorError(f"the answer has no output `{one.name}`; it has {_listed(found)}")
        values = _checked(*found[one.name], one)
        if len(values) != rows or values.size != rows:
            raise TensorError(f"output `{one.name}` has shape {list(values.shape)} for {rows} rows")
        columns[one.name] = pa.array(values.reshape(rows))
    return pa.RecordBatch.from_pydict(columns)


def decoded(raw: bytes, datatype: str) -> Array:
    """The elements of a raw content.

    Raises:
        ValueError: they are not whole, or the datatype is none of ours.
    """
    if datatype not in NUMPY:
        raise ValueError(f"there is no datatype `{datatype}` here")
    return np.frombuffer(raw, NUMPY[datatype])


def _checked(sent: Any, raw: bytes | None, wanted: Tensor) -> Array:
    """The values of one tensor of a message."""
    if sent.datatype != wanted.datatype:
        raise TensorError(f"`{wanted.name}` is {wanted.datatype}, not {sent.datatype or 'without a datatype'}")
    shape = tuple(sent.shape)
    if len(shape) != len(wanted.shape) or any(have < 0 or want not in (-1, have) for have, want in zip(shape, wanted.shape, strict=True)):
        raise TensorError(f"`{wanted.name}` has shape {list(wanted.shape)}, not {list(shape)}")
    dtype = NUMPY[wanted.datatype]
    try:
        values = decoded(raw, wanted.datatype) if raw is not None else np.array(getattr(sent.contents, CONTENTS[wanted.datatype]), dtype)
    except (ValueError, OverflowError) as error:
        raise TensorError(f"`{wanted.name}`: {error}") from error
    if values.size != int(np.prod(shape, dtype=object)):
        raise TensorError(f"`{wanted.name}` has {values.size} elements, its shape {list(shape)} says {int(np.prod(shape, dtype=object))}")
    return values.reshape(shape)


def sized(shape: Sequence[int], rows: int) -> tuple[int, ...]:
    """The shape with so many rows."""
    return tuple(rows if size == -1 else size for size in shape)


def _listed(names: Any) -> str:
    return ", ".join(f"`{name}`" for name in names) or "none"
