"""What is an outage and what a model's failure: of our front by Ray's errors, of the client by what servers and Ray's proxy say."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc.aio
import pytest
from grpc import StatusCode as Code
from ray import exceptions
from ray.serve._private.common import DeploymentID
from ray.serve.exceptions import DeploymentUnavailableError

from schemas.errors import FailedError, UnreachableError
from serving.app.lifeline import refusal
from serving.client import GrpcEndpoint, NoAnswerError
from serving.protocol import open_inference_grpc_pb2 as protocol
from serving.protocol import service
from tests.models import LITE, rows, trained

DIED = "The actor died unexpectedly before finishing this task.\n\tclass_name: ServeReplica:weft:Front"
GONE = "Application metadata not set. Ping /ray.serve.RayServeAPIService/ListApplications for available applications."


class Saying:
    """A server that refuses calls with a code; None hangs, and OK answers (that it lives, that the model is ready)."""

    def __init__(self, infer: Code | None, details: str, ready: Code | None, ready_is: bool = True, live: Code | None = Code.OK) -> None:
        self.ready_is, self.details = ready_is, details
        self.codes = {"ModelInfer": infer, "ModelReady": ready, "ServerLive": live}

    def __getattr__(self, name: str) -> Callable[..., Any]:
        async def said(request: object, context: Any) -> object:
            code = self.codes[name]
            if code is None:
                await asyncio.Event().wait()
            if code is not Code.OK:
                await context.abort(code, self.details)
            return protocol.ServerLiveResponse(live=True) if name == "ServerLive" else protocol.ModelReadyResponse(ready=self.ready_is)

        return said


@asynccontextmanager
async def asked(server: Saying) -> AsyncIterator[GrpcEndpoint]:
    running = grpc.aio.server()
    service.add_to_server(server, running)
    endpoint = GrpcEndpoint(f"127.0.0.1:{running.add_insecure_port('127.0.0.1:0')}")
    await running.start()
    yield endpoint
    await endpoint.close()
    await running.stop(None)


async def fails_with(server: Saying) -> Exception:
    async with asked(server) as endpoint:
        with pytest.raises((UnreachableError, FailedError)) as caught:
            await endpoint.infer(trained().manifest(LITE), rows(2), 0.1)
    return caught.value


@pytest.mark.parametrize(
    "server",
    [
        pytest.param(Saying(Code.UNAVAILABLE, "late@1.0.0 has no replica", Code.OK), id="the front says that there is no replica"),
        pytest.param(Saying(Code.CANCELLED, "", Code.OK), id="the proxy shuts down"),
        pytest.param(Saying(Code.INTERNAL, DIED, Code.INTERNAL), id="the front died with the call, and its proxy says so"),
        pytest.param(Saying(Code.INTERNAL, DIED, None), id="the front died with the call, and calls wait for the next"),
        pytest.param(Saying(Code.INTERNAL, DIED, Code.UNAVAILABLE), id="the front died with the call, and now its proxy is gone"),
        pytest.param(Saying(None, "", None), id="the front is away, and calls wait for the next"),
        pytest.param(Saying(None, "", Code.OK, ready_is=False), id="the call waits for a replica that is to come"),
        pytest.param(Saying(Code.UNKNOWN, "Stream removed", Code.UNAVAILABLE), id="the connection broke"),
        pytest.param(Saying(Code.NOT_FOUND, GONE, Code.NOT_FOUND, live=Code.NOT_FOUND), id="the application was taken down"),
    ],
)
async def test_a_server_or_a_replica_that_is_gone_or_going_is_an_outage(server: Saying) -> None:
    assert isinstance(await fails_with(server), UnreachableError)


@pytest.mark.parametrize(
    ("server", "kind", "said"),
    [
        (Saying(None, "", Code.OK), NoAnswerError, "did not answer within 100 ms"),
        (Saying(Code.INTERNAL, "it raised: no such feature", Code.OK), NoAnswerError, "no such feature"),
        (Saying(Code.UNKNOWN, "what", Code.OK), NoAnswerError, "what"),
        (Saying(Code.RESOURCE_EXHAUSTED, "too large", Code.OK), NoAnswerError, "too large"),
        (Saying(Code.NOT_FOUND, "there is no model", Code.NOT_FOUND), FailedError, "refused: there is no model"),
        (Saying(Code.INVALID_ARGUMENT, "wrong shape", Code.UNAVAILABLE), FailedError, "refused: wrong shape"),
    ],
)
async def test_a_model_that_is_late_raises_or_refuses_has_failed_though_it_is_ready(server: Saying, kind: type, said: str) -> None:
    error = await fails_with(server)
    assert isinstance(error, kind)
    assert said in str(error)


RAY: Any = exceptions  # its functions have no types


@pytest.mark.parametrize(
    "error",
    [
        RAY.ActorDiedError(),
        RAY.ActorUnavailableError("Actor is unavailable.", None),
        RAY.LocalRayletDiedError(),
        RAY.WorkerCrashedError(),
        RAY.RaySystemError("the raylet is gone"),
        RAY.RpcError("connection reset"),
        DeploymentUnavailableError(DeploymentID("late")),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_of_ray_itself_is_an_outage(error: Exception) -> None:
    said = refusal("late@1.0.0", error)
    assert said.code == "UNAVAILABLE"
    assert said.sentence.startswith(f"late@1.0.0 lost its replica: {type(error).__name__}: ")


def test_what_a_model_raised_is_its_failure_and_is_said() -> None:
    raised = RAY.RayTaskError("infer", "Traceback ...\nKeyError: 'score'", KeyError("score"), "title", 1, "127.0.0.1")
    for error in (raised, raised.as_instanceof_cause()):
        assert refusal("late@1.0.0", error) == ("INTERNAL", "late@1.0.0 raised: KeyError: 'score'")
