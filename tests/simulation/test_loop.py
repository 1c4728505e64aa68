"""The loop of the simulation: time that nobody waits for, processes that stand still or die."""

import asyncio
import contextvars
import random
import time

import pytest

from tests.simulation.loop import PROCESS, CircleError, Process, SeededLoop


async def counts(said: list[str], name: str, turns: int = 3) -> None:
    try:
        for turn in range(turns):
            await asyncio.sleep(1.0)
            said.append(f"{name}{turn}")
    finally:
        said.append(f"{name} over")


def begun(loop: SeededLoop, process: Process, said: list[str]) -> None:
    context = contextvars.copy_context()
    context.run(PROCESS.set, process)
    loop.create_task(counts(said, process.name), context=context)


def order(seed: int) -> list[str]:
    loop, said = SeededLoop(random.Random(seed)), list[str]()
    loop.run_until_complete(_all(said))
    loop.close()
    return said


async def _all(said: list[str]) -> None:
    await asyncio.gather(*(counts(said, name) for name in "abcd"))


def test_the_order_is_the_seeds() -> None:
    assert order(1) == order(1)
    assert len({tuple(order(seed)) for seed in range(8)}) > 1


def test_nobody_waits_for_time_to_pass() -> None:
    loop, began_s = SeededLoop(random.Random(1)), time.monotonic()
    loop.run_until_complete(asyncio.sleep(1_000_000.0))
    assert loop.time() == 1_000_000.0
    assert time.monotonic() - began_s < 5
    loop.close()


def test_a_process_that_is_stopped_stands_still_and_goes_on() -> None:
    loop, said, process = SeededLoop(random.Random(1)), list[str](), Process("p")
    begun(loop, process, said)
    loop.call_later(1.5, loop.stop_process, process)
    loop.call_later(9.0, loop.continue_process, process)
    loop.run_until_complete(asyncio.sleep(8.0))
    assert said == ["p0"]
    loop.run_until_complete(asyncio.sleep(8.0))
    assert said == ["p0", "p1", "p2", "p over"]
    loop.close()


def test_a_process_that_is_killed_runs_no_further_line() -> None:
    loop, said, process = SeededLoop(random.Random(1)), list[str](), Process("p")
    begun(loop, process, said)
    loop.call_later(1.5, loop.kill_process, process)
    loop.run_until_complete(asyncio.sleep(8.0))
    assert said == ["p0"]
    loop.close()


def test_a_history_in_which_nothing_can_happen_any_more_ends() -> None:
    loop = SeededLoop(random.Random(1))
    with pytest.raises(CircleError):
        loop.run_until_complete(loop.create_future())
    loop.close()
