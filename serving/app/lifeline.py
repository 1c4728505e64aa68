"""Which model versions have a replica: each holds a call open that ends with its process. And what becomes of calls to one that is gone."""

import asyncio
from collections.abc import Mapping
from typing import Any, NamedTuple

import grpc.aio
from ray.exceptions import RayError, RayTaskError
from ray.serve.exceptions import DeploymentUnavailableError
from ray.serve.handle import DeploymentHandle

from serving.app.served import Refusal
from serving.protocol import open_inference_grpc_pb2 as protocol

Handle = DeploymentHandle[Any]

HELD_S = 60.0
"""How long a replica holds one call: a front that was killed leaves no more than this behind."""
AGAIN_S = 0.1
"""Between two tries to open one."""


class Line(NamedTuple):
    """One that is open."""

    word: str  # what the replica said when it came
    ended: asyncio.Future[None]  # done when the replica is gone


class Lifelines:
    """Calls of the replicas' `hold`. Serve itself does not say: it lets a call wait for a replica that is to come, past any deadline."""

    def __init__(self, replicas: Mapping[str, Handle]) -> None:
        """Start to listen; in a running loop."""
        self._replicas = dict(replicas)
        self._lines: dict[str, Line] = {}
        self._listening = [asyncio.create_task(self._listen(ident)) for ident in replicas]

    def word(self, ident: str) -> str | None:
        """What the version's replica said when it came; None where there is no replica."""
        line = self._lines.get(ident)
        return None if line is None else line.word

    async def infer(self, ident: str, request: protocol.ModelInferRequest) -> protocol.ModelInferResponse | Refusal:
        """The replica's answer; at once a refusal where there is no replica, or as soon as it is gone."""
        line = self._lines.get(ident)
        if line is None:
            return absent(ident)
        response: Any = self._replicas[ident].infer.remote(request)  # its functions have no types
        asked: asyncio.Future[protocol.ModelInferResponse | Refusal] = asyncio.ensure_future(response)
        try:
            await asyncio.wait((asked, line.ended), return_when=asyncio.FIRST_COMPLETED)
            return asked.result() if asked.done() else absent(ident)
        except Exception as error:
            return refusal(ident, error)
        finally:
            if not asked.done():
                response.cancel()
                asked.cancel()

    async def _listen(self, ident: str) -> None:
        calls: Any = self._replicas[ident].options(stream=True)
        while True:
            try:
                async for word in calls.hold.remote():
                    self._lines.setdefault(ident, Line(word, asyncio.get_running_loop().create_future()))
            except Exception:  # whatever ended it, nobody is there
                line = self._lines.pop(ident, None)
                if line is not None:
                    line.ended.set_result(None)
                await asyncio.sleep(AGAIN_S)


def absent(ident: str) -> Refusal:
    """No replica is there to answer."""
    return Refusal("UNAVAILABLE", f"{ident} has no replica; Serve starts one")


def refusal(ident: str, error: Exception) -> Refusal:
    """What a call to a replica that raised stands for: the model raised, a message was refused, or the replica or Ray itself is going."""
    said = str(error).strip().splitlines() or [""]
    match error:
        case RayTaskError():
            return Refusal("INTERNAL", f"{ident} raised: {said[-1]}")
        case RayError() | DeploymentUnavailableError():
            return Refusal("UNAVAILABLE", f"{ident} lost its replica: {type(error).__name__}: {said[0]}")
        case grpc.aio.AioRpcError():  # Serve's own, between front and replica
            return Refusal(error.code().name, f"{ident} was not reached: {error.details()}")
    return Refusal("INTERNAL", f"{ident} raised {type(error).__name__}: {said[-1]}")
