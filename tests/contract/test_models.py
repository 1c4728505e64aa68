"""Every endpoint of models holds to the port: in this process, and a Ray Serve of its own."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import grpc.aio
import numpy as np
import pytest

from schemas.errors import FailedError, UnreachableError
from schemas.manifest import Manifest, Tensor
from serving.client import Endpoint, GrpcEndpoint
from serving.memory import InProcess, Scripted
from serving.protocol import open_inference_grpc_pb2 as protocol
from serving.protocol import service
from tests.models import CHAMPION, LITE, rows, trained
from tests.serving import Served


@pytest.fixture(params=["memory", "serve"])
async def endpoint(request: pytest.FixtureRequest) -> AsyncIterator[Endpoint]:
    made: Endpoint = InProcess(trained()) if request.param == "memory" else GrpcEndpoint(request.getfixturevalue("served").grpc)
    yield made
    await made.close()


def manifest(name: str = CHAMPION) -> Manifest:
    return trained().manifest(name)


async def test_a_late_departure_scores_higher_than_an_early_one(endpoint: Endpoint) -> None:
    for name in (CHAMPION, LITE):
        answer = await endpoint.infer(manifest(name), rows(100), 10)
        scores = answer.columns.column("score").to_numpy()
        assert answer.model == f"{name}@1.0.0"
        assert answer.columns.schema.names == ["score"]
        assert len(scores) == 100
        assert scores[0] < 0.1 < 0.9 < scores[-1]


async def test_the_real_server_says_what_the_same_file_says_here(endpoint: Endpoint) -> None:
    here = await InProcess(trained()).infer(manifest(), rows(500), 10)
    there = await endpoint.infer(manifest(), rows(500), 10)
    assert np.array_equal(here.columns.column("score"), there.columns.column("score"))


async def test_a_null_that_the_model_can_not_use_gives_nan_in_that_row_alone(endpoint: Endpoint) -> None:
    given = rows(3).set_column(0, "dep_delay", rows(3)["dep_delay"].take([0, None, 2]))
    scores = (await endpoint.infer(manifest(LITE), given, 10)).columns["score"]
    assert np.isnan(scores.to_numpy()).tolist() == [False, True, False]


async def test_several_calls_are_in_flight_at_once(endpoint: Endpoint) -> None:
    answers = await asyncio.gather(*(endpoint.infer(manifest(), rows(size), 10) for size in (1, 2_000, 7)))
    assert [answer.columns.num_rows for answer in answers] == [1, 2_000, 7]


async def test_a_version_that_is_not_there_is_refused(endpoint: Endpoint) -> None:
    with pytest.raises(FailedError):
        await endpoint.infer(manifest().model_copy(update={"version": "9.9.9"}), rows(1), 10)


async def test_a_version_that_was_made_again_of_another_file_is_refused(endpoint: Endpoint) -> None:
    with pytest.raises(FailedError, match=f"{CHAMPION}@1.0.0 was made again"):
        await endpoint.infer(manifest().model_copy(update={"sha256": "0" * 64}), rows(1), 10)


async def test_it_is_ready_for_what_it_serves_and_for_nothing_else(endpoint: Endpoint) -> None:
    assert await endpoint.ready(manifest())
    assert not await endpoint.ready(manifest().model_copy(update={"version": "9.9.9"}))


async def test_a_server_that_is_not_there_is_unreachable_at_once() -> None:
    endpoint = GrpcEndpoint("127.0.0.1:1")
    with pytest.raises(UnreachableError):
        await endpoint.infer(manifest(), rows(1), 5)
    assert not await endpoint.ready(manifest())
    await endpoint.close()


class Hanging:
    """A server of the protocol whose model is ready, takes calls and never answers."""

    def __getattr__(self, name: str) -> object:
        async def hang(request: object, context: object) -> protocol.ModelReadyResponse:
            if name != "ModelReady":
                await asyncio.Event().wait()
            return protocol.ModelReadyResponse(ready=True)

        return hang


async def test_a_model_that_hangs_is_given_up_after_the_timeout() -> None:
    server = grpc.aio.server()
    service.add_to_server(Hanging(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    endpoint = GrpcEndpoint(f"127.0.0.1:{port}")
    with pytest.raises(FailedError, match="did not answer within 200 ms"):
        await endpoint.infer(manifest(), rows(1), 0.2)
    await endpoint.close()
    await server.stop(None)


@dataclass
class Echoing:
    """A server of the protocol that answers 0.5 for each row, and says that a model of this version did."""

    version: str

    def __getattr__(self, name: str) -> object:
        async def answer(request: protocol.ModelInferRequest, context: object) -> protocol.ModelInferResponse:
            shape = request.inputs[0].shape
            response = protocol.ModelInferResponse(model_name=request.model_name, model_version=self.version)
            response.outputs.add(name="score", datatype="FP64", shape=shape)
            response.raw_output_contents.append(np.full(shape[0], 0.5).tobytes())
            return response

        return answer


@pytest.mark.parametrize(("version", "fits"), [("", True), ("1.0.0", True), ("1.0.1", False), ("v" * 3_000_000, False)])
async def test_only_the_version_that_was_asked_may_answer(version: str, fits: bool) -> None:
    server = grpc.aio.server()
    service.add_to_server(Echoing(version), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    endpoint = GrpcEndpoint(f"127.0.0.1:{port}")
    if fits:
        assert (await endpoint.infer(manifest(), rows(2), 5)).model == f"{CHAMPION}@1.0.0"
    else:
        with pytest.raises(FailedError, match=r"was asked, and version '.{1,200}' answered"):
            await endpoint.infer(manifest(), rows(2), 5)
    await endpoint.close()
    await server.stop(None)


async def test_a_scripted_endpoint_fails_and_dawdles_as_told() -> None:
    endpoint = Scripted(InProcess(trained()), [UnreachableError("gone"), 5.0, 0.001, None])
    with pytest.raises(UnreachableError):
        await endpoint.infer(manifest(), rows(1), 1)
    with pytest.raises(FailedError, match="within 10 ms"):
        await endpoint.infer(manifest(), rows(1), 0.01)
    for _ in range(2):
        assert (await endpoint.infer(manifest(), rows(1), 1)).columns.num_rows == 1


async def test_an_answer_in_another_datatype_is_refused(served: Served) -> None:
    endpoint = GrpcEndpoint(served.grpc)
    other = manifest().model_copy(update={"outputs": (Tensor(name="score", datatype="FP32"),)})
    with pytest.raises(FailedError, match="FP32"):
        await endpoint.infer(other, rows(1), 10)
    await endpoint.close()
