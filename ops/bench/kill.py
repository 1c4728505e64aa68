"""One kill -9 in mid-run: what is lost, what comes twice, and how long a reader of what is committed waits for the next outcome."""

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Callable

from ops.bench.contenders import Contender, worker_of
from ops.bench.ground import Ground
from ops.bench.lap import Task, cleared
from ops.bench.outputs import Outputs, topics_of
from ops.bench.results import Kill
from schemas.errors import FailedError

SHARE = 0.4  # of the outcomes, before the kill
STALLED_S = 150.0  # without a new record
QUIET_S = 4.0  # after the last of all, for what comes twice
IN_FLIGHT_MS = 30  # what the dead process had already sent; no other is up so soon


class Runner:
    """A contender's process, which is killed once; who has no supervisor is started again at once by this one."""

    def __init__(self, ground: Ground, contender: Contender, group: str) -> None:
        self._start: Callable[[], subprocess.Popen[bytes]] = lambda: contender.start(ground, group)
        supervisor = contender.supervised(ground, group)
        self._supervised = supervisor is not None
        self._process = supervisor or self._start()

    def kill(self) -> None:
        """Kill -9.

        Raises:
            FailedError: there is no process to kill.
        """
        if not self._supervised:
            self._process.kill()
            self._process.wait()
            self._process = self._start()
            return
        worker = worker_of(self._process)
        if worker is None:
            raise FailedError("its supervisor has no worker")
        os.kill(worker.pid, signal.SIGKILL)

    @property
    def ended(self) -> bool:
        """Whether its process is gone."""
        return self._process.poll() is not None

    def end(self) -> None:
        """End it, with what it has started."""
        self._process.send_signal(signal.SIGINT if self._supervised else signal.SIGKILL)
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


async def kill(task: Task, name: str, contender: Contender) -> Kill:
    """Run it.

    Raises:
        FailedError: its process ended by itself, or nothing came.
    """
    ground, group = task.ground, f"bench-{name}-kill"
    names = await contender.prepare(ground, group)
    outputs = Outputs(ground.bootstrap, topics_of(names, ground.partitions))
    runner = Runner(ground, contender, group)
    try:
        killed_ms = await asyncio.to_thread(_run, task, runner, outputs)
    except FailedError as error:
        raise FailedError(f"{contender.title}, killed: {error.sentence}; it said: {ground.said(group)}") from error
    finally:
        await asyncio.to_thread(runner.end)
        outputs.records.close()
    await cleared(ground, group, names)
    seen = outputs.seen()
    back_ms = seen.first_new_ms(task.due, killed_ms + IN_FLIGHT_MS)
    return Kill(name, seen.count(task.due), None if back_ms is None else (back_ms - killed_ms) / 1000)


def _run(task: Task, runner: Runner, outputs: Outputs) -> int:
    """Read until all is there, and kill on the way; when that was."""
    due, count, killed_ms, last_s, complete = task.due.records, 0, 0, time.monotonic(), False
    while time.monotonic() - last_s < (QUIET_S if complete else STALLED_S):
        new = outputs.read(0.05)
        count += new
        if new:
            last_s = time.monotonic()
        elif killed_ms and not complete and count >= due:
            complete = not outputs.seen().count(task.due).lost
        if not killed_ms and count >= due * SHARE:
            killed_ms = round(time.time() * 1000)
            runner.kill()
        if runner.ended:
            raise FailedError("its process ended")
    if not killed_ms:
        raise FailedError(f"only {count} outcomes came")
    return killed_ms
