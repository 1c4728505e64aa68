"""A model server that speaks the Open Inference Protocol and lies: real gRPC, with answers that are wrong in every way there is."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import grpc.aio
import numpy as np
import numpy.typing as npt

from serving.client import MAX_MESSAGE_BYTES
from serving.protocol import open_inference_grpc_pb2 as protocol

Floats = npt.NDArray[np.float64]
Response = protocol.ModelInferResponse
LATE_S = 3.0

SERVICE = protocol.DESCRIPTOR.services_by_name["GRPCInferenceService"].full_name
UNSURE = 13.0
"""A model that `has no number` for some rows has none for multiples of this."""


def honest(request: protocol.ModelInferRequest, numbers: Floats) -> Response:
    """Half of each number."""
    return _scores(request, numbers / 2)


def _scores(request: protocol.ModelInferRequest, scores: Floats) -> Response:
    response = Response(model_name=request.model_name, model_version=request.model_version)
    response.outputs.add(name="score", datatype="FP64", shape=[len(scores), 1])
    response.raw_output_contents.append(scores.tobytes())
    return response


def _typed(datatype: str, dtype: str) -> Callable[[protocol.ModelInferRequest, Floats], Response]:
    """The right numbers in another datatype, which the answer names."""

    def lie(request: protocol.ModelInferRequest, numbers: Floats) -> Response:
        response = honest(request, numbers)
        response.outputs[0].datatype = datatype
        response.raw_output_contents[0] = (numbers / 2).astype(dtype).tobytes()
        return response

    return lie


def _shaped(*shape: int) -> Callable[[protocol.ModelInferRequest, Floats], Response]:
    """The right bytes in another shape; -1 stands for the rows."""

    def lie(request: protocol.ModelInferRequest, numbers: Floats) -> Response:
        response = honest(request, numbers)
        response.outputs[0].shape[:] = [len(numbers) if size == -1 else size for size in shape]
        return response

    return lie


def _changed(**changes: str) -> Callable[[protocol.ModelInferRequest, Floats], Response]:
    def lie(request: protocol.ModelInferRequest, numbers: Floats) -> Response:
        response = honest(request, numbers)
        for name, value in changes.items():
            setattr(response, name, value)
        return response

    return lie


def _of_another_file(request: protocol.ModelInferRequest, numbers: Floats) -> Response:
    response = honest(request, numbers)
    response.parameters["sha256"].string_param = "f" * 64
    return response


def _another_output(request: protocol.ModelInferRequest, numbers: Floats) -> Response:
    response = honest(request, numbers)
    response.outputs[0].name = "sc0re"
    return response


def _cut(request: protocol.ModelInferRequest, numbers: Floats) -> Response:
    """All rows, by its shape; half of them, by its bytes."""
    response = honest(request, numbers)
    response.raw_output_contents[0] = response.raw_output_contents[0][: len(response.raw_output_contents[0]) // 2]
    return response


def _without_bytes(request: protocol.ModelInferRequest, numbers: Floats) -> Response:
    response = honest(request, numbers)
    del response.raw_output_contents[:]
    return response


def _huge(request: protocol.ModelInferRequest, numbers: Floats) -> Response:
    return _scores(request, np.zeros(MAX_MESSAGE_BYTES // 8 + 1))


def _number(value: float) -> Callable[[protocol.ModelInferRequest, Floats], Response]:
    return lambda request, numbers: _scores(request, np.full(len(numbers), value))


def unsure(request: protocol.ModelInferRequest, numbers: Floats) -> Response:
    """No number for some rows, each in another way."""
    scores = numbers / 2
    gone = np.flatnonzero(numbers % UNSURE == 0)
    scores[gone] = np.array([np.nan, np.inf, -np.inf])[np.arange(len(gone)) % 3]
    return _scores(request, scores)


LIES: Mapping[str, Callable[[protocol.ModelInferRequest, Floats], Response | bytes]] = {
    "half of the rows": lambda request, numbers: _scores(request, numbers[: len(numbers) // 2] / 2),
    "one row more": lambda request, numbers: _scores(request, np.append(numbers, 0.0)),
    "all rows twice": lambda request, numbers: _scores(request, np.append(numbers, numbers)),
    "no row": lambda request, numbers: _scores(request, numbers[:0]),
    "nothing at all": lambda request, numbers: b"",
    "no output": lambda request, numbers: Response(model_name=request.model_name, model_version=request.model_version),
    "no bytes": _without_bytes,
    "half of the bytes": _cut,
    "rows and columns swapped": _shaped(1, -1),
    "one dimension": _shaped(-1),
    "three dimensions": _shaped(-1, 1, 1),
    "a negative shape": _shaped(-7, 1),
    "a giant shape": _shaped(1 << 62, 1),
    "single floats": _typed("FP32", "<f4"),
    "whole numbers": _typed("INT64", "<i8"),
    "texts": _typed("BYTES", "<f8"),
    "no datatype": _typed("", "<f8"),
    "another output": _another_output,
    "another model": _changed(model_name="somebody-else"),
    "another version": _changed(model_version="9.9.9"),
    "another file's": _of_another_file,
    "NaN": _number(np.nan),
    "infinity": _number(np.inf),
    "minus infinity": _number(-np.inf),
    "no message": lambda request, numbers: b"\xff\xff\xff\xff no message",
    "a message cut off": lambda request, numbers: honest(request, numbers).SerializeToString()[:-3],
    "more than may be sent": _huge,
}


@dataclass
class Liar:
    """What each model answers: `lies` by model, `honest` for the others. `late` take longer than anybody waits."""

    lies: Mapping[str, Callable[[protocol.ModelInferRequest, Floats], Response | bytes]]
    late: frozenset[str] = frozenset()
    asked: list[str] = field(default_factory=list)  # models, a call each

    async def infer(self, raw: bytes, context: object) -> bytes:
        request = protocol.ModelInferRequest.FromString(raw)
        self.asked.append(request.model_name)
        if request.model_name in self.late:
            await asyncio.sleep(LATE_S)
        numbers = np.frombuffer(request.raw_input_contents[0])
        answer = self.lies.get(request.model_name, honest)(request, numbers)
        return answer if isinstance(answer, bytes) else answer.SerializeToString()

    async def ready(self, raw: bytes, context: object) -> bytes:
        return protocol.ModelReadyResponse(ready=True).SerializeToString()

    async def live(self, raw: bytes, context: object) -> bytes:
        return protocol.ServerLiveResponse(live=True).SerializeToString()


@asynccontextmanager
async def serving(liar: Liar) -> AsyncIterator[str]:
    """A server; where it is found."""
    server = grpc.aio.server(options=[("grpc.max_send_message_length", -1)])
    calls = {"ModelInfer": liar.infer, "ModelReady": liar.ready, "ServerLive": liar.live}
    handlers = {name: grpc.unary_unary_rpc_method_handler(call) for name, call in calls.items()}  # bytes in, bytes out
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield f"127.0.0.1:{port}"
    await server.stop(None)
