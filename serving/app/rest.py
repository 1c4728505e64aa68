"""The protocol's HTTP form: paths, JSON bodies and the binary extension, from and to the same messages as gRPC."""

from typing import Any, NamedTuple

import orjson
from google.protobuf import json_format
from google.protobuf.message import Message

from serving.app.served import Refusal
from serving.protocol import open_inference_grpc_pb2 as protocol
from serving.tensors import CONTENTS, NUMPY, decoded

HEADER_LENGTH = "inference-header-content-length"  # the JSON's size where binary tensors follow it
STATUS = {"INVALID_ARGUMENT": 400, "NOT_FOUND": 404, "UNAVAILABLE": 503, "UNIMPLEMENTED": 501, "DEADLINE_EXCEEDED": 504}


class Reply(NamedTuple):
    """An HTTP answer."""

    status: int
    body: bytes


def refused(refusal: Refusal) -> Reply:
    """The refusal as HTTP says it."""
    return Reply(STATUS.get(refusal.code, 500), orjson.dumps({"error": refusal.sentence}))


def message(answer: Message) -> Reply:
    """A protocol message as JSON, fields of default value included."""
    plain = json_format.MessageToDict(answer, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
    for tensor in (*plain.get("inputs", ()), *plain.get("outputs", ())):
        tensor["shape"] = [int(size) for size in tensor["shape"]]  # protobuf's JSON writes int64 as text, the protocol as numbers
    return Reply(200, orjson.dumps(plain))


def asked(name: str, version: str, body: bytes, header_length: str | None) -> protocol.ModelInferRequest | Refusal:
    """An infer body as the gRPC request."""
    try:
        size = len(body) if header_length is None else int(header_length)
        document = orjson.loads(body[:size])
        request = protocol.ModelInferRequest(model_name=name, model_version=version, id=str(document.get("id", "")))
        rest = body[size:]
        for sent in document["inputs"]:
            rest = _add(request, sent, rest)
        for wanted in document.get("outputs", ()):
            request.outputs.add(name=wanted["name"])
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        return Refusal("INVALID_ARGUMENT", f"this is no infer request: {_said(error)}")
    if rest:
        return Refusal("INVALID_ARGUMENT", f"{len(rest)} bytes follow the last tensor")
    return request


def answered(response: protocol.ModelInferResponse) -> Reply:
    """The gRPC response as JSON."""
    outputs = []
    for sent, raw in zip(response.outputs, response.raw_output_contents, strict=True):
        values = decoded(raw, sent.datatype).tolist()
        outputs.append({"name": sent.name, "datatype": sent.datatype, "shape": list(sent.shape), "data": values})
    document = {"model_name": response.model_name, "model_version": response.model_version, "id": response.id, "outputs": outputs}
    return Reply(200, orjson.dumps(document))


def _add(request: protocol.ModelInferRequest, sent: Any, rest: bytes) -> bytes:
    """Adds one input; gives the binary rest behind it."""
    one = request.inputs.add(name=sent["name"], datatype=sent["datatype"], shape=sent["shape"])
    size = sent.get("parameters", {}).get("binary_data_size")
    if sent["datatype"] not in NUMPY:
        return rest  # refused with the model's own datatype at hand
    if size is None:
        getattr(one.contents, CONTENTS[sent["datatype"]]).extend(_flat(sent["data"]))
        return rest
    if len(rest) < int(size):
        raise ValueError(f"`{one.name}` says {size} bytes, {len(rest)} are left")
    values = decoded(rest[: int(size)], sent["datatype"])
    getattr(one.contents, CONTENTS[sent["datatype"]]).extend(values.tolist())
    return rest[int(size) :]


def _flat(data: Any) -> list[Any]:
    """Nested lists as one, row-major; NaN can't be written in JSON, so null stands for it."""
    if not isinstance(data, list):
        return [float("nan") if data is None else data]
    return [value for inner in data for value in _flat(inner)]


def _said(error: Exception) -> str:
    return f"`{error.args[0]}` is missing" if isinstance(error, KeyError) else str(error)
