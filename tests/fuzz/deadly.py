"""Workers of one slot as forks of this process, one after the other, until a batch is through.

`python -m tests.fuzz.deadly FOLDER HOW N...`: a step does what HOW says at the numbers N of 0 to 999. Prints how many workers ended, and
which numbers ended as dead letters.
"""

import asyncio
import json
import os
import re
import resource
import signal
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from processors.light import keep_pandas_out
from processors.step import Batch, Intake, State, Stepped
from schemas.positions import Source
from schemas.vocabulary import Verdict
from streams.hangs import HangWatch
from streams.stepping import Gate, travel
from streams.suspects import Suspects
from tests.simulation.small import Count, Numbers, small_flow

ROWS, LIMIT_S, MEMORY_BYTES = 1_000, 1.5, 3 << 30
DONE = 3
MOST = 40  # workers


async def waits() -> None:
    await asyncio.Event().wait()


async def loops() -> None:
    """In the interpreter: other threads get their turns."""
    while True:
        pass


async def matches() -> None:
    """In one call that lets no other thread run."""
    re.match("(a+)+$", "a" * 64 + "b")


async def eats() -> None:
    held = [np.empty(1 << 28, np.uint8) for _ in range(64)]
    assert not held, "there is room for 16 GB"


async def kills() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


async def breaks() -> None:
    os.abort()


WAYS: Mapping[str, Callable[[], object]] = {each.__name__: each for each in (waits, loops, matches, eats, kills, breaks)}


class Deadly:
    """The step."""

    name, stateful = "deadly", False

    def __init__(self, how: str, numbers: Sequence[int]) -> None:
        self._how, self._numbers = WAYS[how], set(numbers)

    async def run(self, batch: Batch, state: State) -> Stepped:
        if self._numbers & set(batch.columns.column("n").to_pylist()):
            await self._how()  # type: ignore[misc]
        return Stepped(batch, (), state)


class NoStates:
    def get(self, key: object) -> State:
        return {}

    def put(self, key: object, state: State) -> None:
        pass


def batch() -> Batch:
    values, at = [str(n).encode() for n in range(ROWS)], np.arange(ROWS)
    intake = Intake((Source("in", 0),), np.zeros(ROWS, np.int16), at, at, values, values, None, 0)
    return Batch(pa.RecordBatch.from_arrays([], names=[]), at, intake)


def work(folder: Path, how: str, numbers: Sequence[int]) -> None:
    """One worker; returns only if nothing ends it."""
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, resource.getrlimit(resource.RLIMIT_DATA)[1]))
    hang = folder / "hang.txt"
    guard = Suspects.of(folder / "running.json", hang.exists() and hang.stat().st_size > 0)
    HangWatch(guard, LIMIT_S, hang, lambda error: os._exit(1)).start()

    (folder / "letters.json").write_text(json.dumps(through(guard, how, numbers)))


def through(guard: Suspects, how: str, numbers: Sequence[int]) -> list[int]:
    """The numbers that ended as dead letters; all others went on, in their order."""

    async def wait(step: str, error: Exception) -> None:
        raise error

    flow = replace(small_flow(), steps=(Numbers(), Deadly(how, numbers), Count()))
    made = asyncio.run(travel(flow, batch(), 0, NoStates(), Gate(), wait, guard))
    letters = sorted(int(row) for fate in made.fates if fate.verdict is Verdict.DEAD_LETTER for row in fate.batch.origin)
    results = [n for fate in made.fates if fate.verdict is Verdict.RESULT for n in fate.batch.columns.column("n").to_pylist()]
    assert results == [n for n in range(ROWS) if n not in letters]
    return letters


def main() -> None:
    folder, how, numbers = Path(sys.argv[1]), sys.argv[2], [int(text) for text in sys.argv[3:]]
    keep_pandas_out()
    warm = folder / "warm"
    warm.mkdir()
    through(Suspects.of(warm / "running.json"), how, [])  # what is loaded the first time takes longer than a step may
    ended = 0
    while ended < MOST:
        assert threading.active_count() == 1
        child = os.fork()
        if not child:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            try:
                work(folder, how, numbers)
            except BaseException:
                os._exit(1)
            os._exit(DONE)
        if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == DONE:
            break
        ended += 1
    print(json.dumps({"ended": ended, "letters": json.loads((folder / "letters.json").read_text())}))


if __name__ == "__main__":
    main()
