"""The model server is whole: every endpoint, clear refusals, loopback only, and it comes back after kills."""

import asyncio
import json
import os
import signal
import socket
import stat
import subprocess
import time
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import numpy as np
import psutil
import pytest

from schemas.errors import FailedError, UnreachableError
from serving.app import environment
from serving.client import GrpcEndpoint
from serving.memory import InProcess
from serving.protocol import open_inference_grpc_pb2 as protocol
from serving.protocol.service import call
from serving.router import Router
from serving.tensors import ask
from tests.models import CHAMPION, LITE, rows, trained
from tests.serving import Served, wait_healthy

BACK_WITHIN_S = 60.0


def http(served: Served, path: str, body: bytes | None = None, **headers: str) -> tuple[int, Any]:
    request = urllib.request.Request(f"{served.http}/v2{path}", body, {name.replace("_", "-"): value for name, value in headers.items()})
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.status, json.loads(response.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def lite(**changes: Any) -> dict[str, Any]:
    delay = {"name": "dep_delay", "datatype": "FP64", "shape": [2, 1], "data": [[100.0], [-5.0]], **changes}
    return {"id": "seven", "inputs": [delay, {"name": "distance", "datatype": "FP64", "shape": [2, 1], "data": [500.0, 600.0]}]}


def test_http_says_that_it_lives_is_ready_and_who_it_is(served: Served) -> None:
    assert http(served, "/health/live") == (200, {"live": True})
    assert http(served, "/health/ready") == (200, {"ready": True})
    assert http(served, "")[1]["name"] == "weft"
    assert http(served, f"/models/{LITE}/ready") == (200, {"ready": True})
    assert http(served, f"/models/{LITE}/versions/1.0.0/ready") == (200, {"ready": True})


def test_http_describes_a_model_with_numbers_as_numbers(served: Served) -> None:
    status, said = http(served, f"/models/{LITE}")
    assert status == 200
    assert said["versions"] == ["1.0.0"]
    assert said["inputs"][0] == {"name": "dep_delay", "datatype": "FP64", "shape": [-1, 1]}
    assert said["outputs"] == [{"name": "score", "datatype": "FP64", "shape": [-1, 1]}]


def test_http_answers_json_and_binary_tensors_alike(served: Served) -> None:
    status, plain = http(served, f"/models/{LITE}/infer", json.dumps(lite()).encode())
    assert (status, plain["id"], plain["model_version"]) == (200, "seven", "1.0.0")
    (score,) = plain["outputs"]
    assert score["shape"] == [2, 1]
    assert score["data"][0] > 0.9 > 0.1 > score["data"][1]
    document = lite()
    del document["inputs"][0]["data"]
    document["inputs"][0]["parameters"] = {"binary_data_size": 16}
    head = json.dumps(document).encode()
    body = head + np.array([100.0, -5.0]).tobytes()
    assert http(served, f"/models/{LITE}/infer", body, Inference_Header_Content_Length=str(len(head))) == (200, plain)


@pytest.mark.parametrize(
    ("path", "body", "status", "said"),
    [
        ("/models/nope/infer", lite(), 404, "there is no model `nope`"),
        (f"/models/{LITE}/versions/2.0.0/infer", lite(), 404, f"there is no model `{LITE}@2.0.0`"),
        (f"/models/{LITE}/infer", lite(datatype="FP32"), 400, "`dep_delay` is FP64, not FP32"),
        (f"/models/{LITE}/infer", lite(datatype="FP128"), 400, "`dep_delay` is FP64, not FP128"),
        (f"/models/{LITE}/infer", lite(shape=[2]), 400, "has shape [-1, 1], not [2]"),
        (f"/models/{LITE}/infer", lite(data=[1.0]), 400, "1 elements"),
        (f"/models/{LITE}/infer", lite(data=["x", "y"]), 400, "no infer request"),
        (f"/models/{LITE}/infer", {"inputs": []}, 400, "inputs are missing: `dep_delay`, `distance`"),
        (f"/models/{LITE}/infer", {}, 400, "`inputs` is missing"),
        (f"/models/{LITE}/infer", [], 400, "no infer request"),
        (f"/models/{LITE}/explode", {}, 404, "there is no POST"),
    ],
)
def test_http_refuses_with_a_status_and_a_sentence(served: Served, path: str, body: Any, status: int, said: str) -> None:
    found, answer = http(served, path, json.dumps(body).encode())
    assert (found, said in answer["error"]) == (status, True), answer


async def test_grpc_answers_every_call_of_the_protocol(served: Served) -> None:
    async with grpc.aio.insecure_channel(served.grpc) as channel:
        assert (await call(channel, "ServerLive")(protocol.ServerLiveRequest())).live
        assert (await call(channel, "ServerReady")(protocol.ServerReadyRequest())).ready
        assert (await call(channel, "ServerMetadata")(protocol.ServerMetadataRequest())).name == "weft"
        assert (await call(channel, "ModelReady")(protocol.ModelReadyRequest(name=LITE))).ready
        described = await call(channel, "ModelMetadata")(protocol.ModelMetadataRequest(name=CHAMPION))
        assert described.properties["sha256"] == trained().manifest(CHAMPION).sha256
        assert [one.name for one in described.inputs] == [one.name for one in trained().manifest(CHAMPION).inputs]


@pytest.mark.parametrize(
    ("changes", "code", "said"),
    [
        ({"model_name": "nope"}, "NOT_FOUND", "there is no model `nope@1.0.0`"),
        ({"model_version": "3.0.0"}, "NOT_FOUND", "3.0.0"),
        ({"outputs": [{"name": "label"}]}, "INVALID_ARGUMENT", "there is no output `label`"),
        ({"raw_input_contents": [b""]}, "INVALID_ARGUMENT", "2 inputs but 3 raw contents"),
    ],
)
async def test_grpc_refuses_with_a_code_and_a_sentence(served: Served, changes: dict[str, Any], code: str, said: str) -> None:
    manifest = trained().manifest(LITE)
    request = ask(LITE, "1.0.0", manifest.inputs, rows(3))
    request.MergeFrom(protocol.ModelInferRequest(**changes))
    async with grpc.aio.insecure_channel(served.grpc) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call(channel, "ModelInfer")(request)
    assert caught.value.code() is grpc.StatusCode[code]
    assert said in (caught.value.details() or "")


def test_everything_listens_on_loopback_only_ray_s_own_processes_too(served: Served) -> None:
    listening = [
        (process.name(), connection.laddr)
        for process in served.part.daemon.members()
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN or connection.type is socket.SOCK_DGRAM
    ]
    assert [(name, address) for name, address in listening if address.ip.removeprefix("::ffff:") != "127.0.0.1"] == []
    assert len({name.partition(":")[0] for name, _ in listening}) > 2  # Ray's workers were found too, and gcs and raylet
    own = {int(served.grpc.rsplit(":")[-1]), int(served.http.rsplit(":")[-1])}
    assert own <= {address.port for _, address in listening}


def test_ray_s_session_is_open_to_this_user_alone(served: Served) -> None:
    session = environment.short_folder(served.part.folder)
    assert (session / "session_latest" / "sockets" / "raylet").exists()
    assert stat.S_IMODE(session.parent.stat().st_mode) == 0o700


def test_triton_s_own_client_can_ask(served: Served) -> None:
    python = os.environ.get("WEFT_TEST_TRITON_PYTHON")
    if not python:
        pytest.skip("tritonclient needs protobuf < 7, so an environment of its own: name its interpreter in WEFT_TEST_TRITON_PYTHON")
    script = Path(__file__).with_name("triton_client.py")
    done = subprocess.run([python, str(script), served.grpc, served.http, "50"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    here = asyncio.run(InProcess(trained()).infer(trained().manifest(LITE), rows(50), 1))
    assert [float(score) for score in done.stdout.split(",")] == here.columns.column("score").to_pylist()


async def until_answered(models: Router) -> tuple[float, dict[str, int]]:
    """Ask as a lane does until the model answers again: how long that took, in seconds, and how often it failed by which error."""
    began = time.monotonic()
    failed: dict[str, int] = {}
    while time.monotonic() - began < BACK_WITHIN_S:
        try:
            await models.infer(CHAMPION, "champion", rows(100), [None] * 100, 0.25)
        except (UnreachableError, FailedError) as error:
            failed[type(error).__name__] = failed.get(type(error).__name__, 0) + 1
            await asyncio.sleep(0.05)
        else:
            return time.monotonic() - began, failed
    raise AssertionError(f"not back within {BACK_WITHIN_S} s: {failed}")


async def until_refused(models: Router) -> None:
    """Ask until there is no answer."""
    for _ in range(200):
        try:
            await models.infer(CHAMPION, "champion", rows(10), [None] * 10, 0.25)
        except (UnreachableError, FailedError):
            return
        await asyncio.sleep(0.05)
    raise AssertionError("it still answers")


async def asked_until(ended: asyncio.Event, endpoint: GrpcEndpoint, timeout_s: float) -> Counter[str]:
    """Ask as a lane does; what came how often."""
    said: Counter[str] = Counter()
    while not ended.is_set():
        try:
            await endpoint.infer(trained().manifest(CHAMPION), rows(2_000), timeout_s)
        except (UnreachableError, FailedError) as error:
            said[repr(error)] += 1
            await asyncio.sleep(0.05)
        else:
            said["answered"] += 1
    return said


async def until_ready(endpoint: GrpcEndpoint, ready: bool) -> None:
    """Wait for it."""
    async with asyncio.timeout(BACK_WITHIN_S):
        while await endpoint.ready(trained().manifest(CHAMPION)) is not ready:
            await asyncio.sleep(0.05)


@pytest.mark.parametrize(("victim", "timeout_s"), [(f"{CHAMPION}-1.0.0", 0.5), (f"{CHAMPION}-1.0.0", 10.0), (":Front", 30.0)])
async def test_a_replica_or_front_killed_with_9_is_an_outage_and_no_failed_rung_until_it_is_back(
    served: Served, victim: str, timeout_s: float, record_property: Any
) -> None:
    endpoint, ended = GrpcEndpoint(served.grpc), asyncio.Event()
    asking = [asyncio.create_task(asked_until(ended, endpoint, timeout_s)) for _ in range(3)]
    await asyncio.sleep(0.5)
    (process,) = [one for one in served.part.daemon.members() if any(victim in word for word in one.cmdline())]
    process.kill()
    began = time.monotonic()
    await until_ready(endpoint, False)
    away_s = time.monotonic() - began
    await until_ready(endpoint, True)
    back_s = time.monotonic() - began
    record_property("back_s", back_s)
    await asyncio.sleep(1.0)
    ended.set()
    said = sum(await asyncio.gather(*asking), Counter[str]())
    print(f"{victim} seen away after {away_s:.2f} s, back after {back_s:.1f} s, {said}")
    assert said["answered"] > 3
    assert all(word == "answered" or word.startswith(UnreachableError.__name__) for word in said)
    assert len(said) > 1 or victim == ":Front"  # calls may wait for a front
    await endpoint.close()


async def test_an_answer_about_many_rows_has_room(served: Served) -> None:
    endpoint = GrpcEndpoint(served.grpc)
    assert (await endpoint.infer(trained().manifest(CHAMPION), rows(100_000), 10)).columns.num_rows == 100_000
    await endpoint.close()


async def test_the_whole_server_killed_with_9_and_started_again_is_found_by_the_same_router(served: Served, record_property: Any) -> None:
    models = Router(trained(), GrpcEndpoint(served.grpc))
    await models.infer(CHAMPION, "champion", rows(10), [None] * 10, 5)
    head = served.part.daemon.process()
    assert head is not None
    members = served.part.daemon.members()
    os.kill(head.pid, signal.SIGKILL)
    await until_refused(models)
    served.part.stop()
    assert not [one for one in members if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]
    served.part.start()
    up_s = await asyncio.to_thread(wait_healthy, served.part)
    back_s, failed = await until_answered(models)
    record_property("back_after_healthy_s", back_s)
    print(f"healthy after {up_s:.1f} s, answered {back_s:.2f} s later, {failed}")
    assert back_s < 5
    await models.close()
