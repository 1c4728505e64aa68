"""The router asks only approved versions, each through its own breaker, and recovers by itself."""

import asyncio
import subprocess
import sys

import pytest

from schemas.errors import FailedError, UnreachableError, UsageError, WeftError
from serving.breaker import Circuit
from serving.client import NoAnswerError
from serving.memory import InProcess, Scripted, local_models
from serving.router import Router
from tests.models import CHAMPION, LITE, rows, spoiled, trained
from tests.unit.test_breaker import Clock


def router(clock: Clock, *script: WeftError | float | None) -> tuple[Router, Scripted]:
    endpoint = Scripted(InProcess(trained()), script)
    return Router(trained(), endpoint, clock), endpoint


async def ask(models: Router, model: str = CHAMPION, route: str = "champion", timeout_s: float = 1.0) -> str:
    return (await models.infer(model, route, rows(3), [None] * 3, timeout_s)).model


async def test_the_champion_is_the_version_in_the_folder() -> None:
    models, _ = router(Clock())
    assert await ask(models) == f"{CHAMPION}@1.0.0"


async def test_five_calls_without_answer_open_the_breaker_and_the_server_is_left_alone() -> None:
    models, endpoint = router(Clock(), *[NoAnswerError("no")] * 5)
    for _ in range(5):
        with pytest.raises(FailedError):
            await ask(models)
    with pytest.raises(UnreachableError):
        await ask(models)
    assert len(endpoint.calls) == 5
    assert models.circuits()[f"{CHAMPION}@1.0.0"] is Circuit.OPEN


async def test_when_the_server_is_back_the_next_try_closes_the_breaker() -> None:
    clock = Clock()
    models, _ = router(clock, *[UnreachableError("away")] * 6)
    for _ in range(5):
        with pytest.raises(UnreachableError):
            await ask(models)
    clock.now += 1.1
    with pytest.raises(UnreachableError, match="away"):
        await ask(models)
    clock.now += 1.1
    assert await ask(models)
    assert models.circuits()[f"{CHAMPION}@1.0.0"] is Circuit.CLOSED


async def test_each_model_has_a_breaker_of_its_own() -> None:
    models, _ = router(Clock(), *[UnreachableError("away")] * 5)
    for _ in range(5):
        with pytest.raises(UnreachableError):
            await ask(models)
    assert await ask(models, LITE) == f"{LITE}@1.0.0"


async def test_a_refusal_is_an_answer_and_opens_nothing() -> None:
    models, _ = router(Clock(), *[FailedError("wrong shape")] * 20)
    for _ in range(20):
        with pytest.raises(FailedError):
            await ask(models)
    assert models.circuits()[f"{CHAMPION}@1.0.0"] is Circuit.CLOSED


async def test_a_call_given_up_by_its_caller_leaves_the_breaker_able_to_try() -> None:
    clock = Clock()
    models, _ = router(clock, *[UnreachableError("away")] * 5, 5.0)
    for _ in range(5):
        with pytest.raises(UnreachableError):
            await ask(models)
    clock.now += 1.1
    task = asyncio.create_task(ask(models, timeout_s=10.0))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await ask(models)


async def test_several_calls_are_in_flight() -> None:
    models, endpoint = router(Clock(), 0.05, 0.05, 0.05)
    loop = asyncio.get_running_loop()
    began = loop.time()
    await asyncio.gather(*(ask(models) for _ in range(3)))
    assert loop.time() - began < 0.12
    assert len(endpoint.calls) == 3


async def test_an_unknown_route_or_model_is_said() -> None:
    models, _ = router(Clock())
    with pytest.raises(FailedError, match="route `canary`"):
        await ask(models, route="canary")
    with pytest.raises(UsageError, match="no model `nothing`"):
        await ask(models, "nothing")


async def test_a_manifest_that_takes_what_the_flow_does_not_give_is_a_mistake_and_no_call() -> None:
    models, endpoint = router(Clock())
    with pytest.raises(UsageError, match="takes distance, which the flow does not give"):
        await models.infer(CHAMPION, "champion", rows(3).drop_columns(["distance"]), [None] * 3, 1.0)
    assert not endpoint.calls


async def test_models_in_this_process_refuse_a_file_that_was_changed(tmp_path: object) -> None:
    with pytest.raises(FailedError, match="digest"):
        await ask(local_models(spoiled(tmp_path)), LITE)  # type: ignore[arg-type]


@pytest.mark.parametrize("module", ["serving.router", "processors.steps.infer"])
def test_a_worker_imports_neither_ray_nor_what_only_training_needs(module: str) -> None:
    heavy = ("ray", "onnxruntime", "pandas", "sklearn", "lightgbm", "onnx", "skl2onnx")
    code = f"import sys, {module}; print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
