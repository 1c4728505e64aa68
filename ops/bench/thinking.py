"""A model server that thinks: it answers about every row with zero, after a time that grows with the rows, and burns no CPU meanwhile."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
import numpy as np

from schemas.manifest import Tensor
from serving.client import MAX_MESSAGE_BYTES
from serving.protocol import open_inference_grpc_pb2 as protocol
from serving.protocol import service
from serving.tensors import NUMPY, sized


class Thinking:
    """Answers any number of calls side by side, as a server with replicas enough."""

    def __init__(self, outputs: Sequence[Tensor], row_s: float) -> None:
        self._outputs, self._row_s = outputs, row_s
        self.calls = self.rows = 0

    async def ModelInfer(self, request: Any, context: Any) -> Any:  # the protocol's name
        """Zeros of each output's type."""
        del context
        rows = int(request.inputs[0].shape[0])
        self.calls, self.rows = self.calls + 1, self.rows + rows
        await asyncio.sleep(rows * self._row_s)
        response = protocol.ModelInferResponse(model_name=request.model_name, model_version=request.model_version)
        for one in self._outputs:
            zeros = np.zeros(sized(one.shape, rows), NUMPY[one.datatype])
            response.outputs.add(name=one.name, datatype=one.datatype, shape=zeros.shape)
            response.raw_output_contents.append(zeros.tobytes())
        return response

    def __getattr__(self, name: str) -> Callable[[Any, Any], Any]:
        """The other calls of the protocol: it lives, and is ready."""

        async def said(request: Any, context: Any) -> Any:
            del request, context
            return protocol.ServerLiveResponse(live=True) if name == "ServerLive" else protocol.ModelReadyResponse(ready=True)

        return said


@asynccontextmanager
async def thinking(outputs: Sequence[Tensor], row_s: float) -> AsyncIterator[tuple[Thinking, str]]:
    """A running one, and its host:port."""
    most = [(f"grpc.max_{way}_message_length", MAX_MESSAGE_BYTES) for way in ("receive", "send")]
    server, servicer = grpc.aio.server(options=most), Thinking(outputs, row_s)
    service.add_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield servicer, f"127.0.0.1:{port}"
    finally:
        await server.stop(None)
