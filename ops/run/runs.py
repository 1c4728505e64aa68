"""A flow's run on this machine as others see it: started in the background, looked at, ended; whoever started it."""

import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psutil

from ops.run.held import Holder, holder
from ops.run.supervisor import DRAIN_S, Plan
from ops.run.watching import ask
from ops.stack.daemon import Daemon
from ops.stack.local import PartStatus
from schemas.vocabulary import Exit
from streams.slot import Slot, run_folder

GRACE_S = DRAIN_S + 8.0  # for a supervisor that drains its workers
POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class Stopped:
    """How a run ended. `drained`: all that was in flight is committed."""

    running: bool  # it was, before
    drained: bool
    took_s: float


class Run:
    """The run of a flow from a data folder."""

    def __init__(self, data: Path, flow: str) -> None:
        self.flow, self._data = flow, data
        self.folder = run_folder(data, flow)
        self.daemon = Daemon(self.folder)  # only of one that was started in the background

    def holder(self) -> Holder | None:
        """Who runs it now, or ran it last."""
        return holder(self._data, self.flow)

    def start(self, plan: Plan) -> None:
        """Start it as a person would, in a session of its own, and return at once."""
        words = ["run", plan.flow, "--workers", str(plan.workers), *(["--until-idle"] if plan.until_idle else [])]
        self.daemon.start([sys.executable, "-m", "ops.cli", *words], plan.environment)

    def stop(self) -> Stopped:
        """End it in order: its workers drain and commit. What does not end in time is killed."""
        began, found = time.monotonic(), self.holder()
        running = found is not None and found.process is not None
        if found is not None and found.process is not None:
            found.process.terminate()
            while self._process() is not None and time.monotonic() < began + GRACE_S:
                time.sleep(POLL_S)
        self.daemon.stop(grace_s=0.0)
        last = self.holder()
        return Stopped(running, running and last is not None and last.ended == Exit.DONE, time.monotonic() - began)

    def status(self) -> PartStatus | None:
        """As a part of the stack would say it; None if it does not run and did not crash."""
        found = self.holder()
        if found is None or (found.process is None and (found.ended is not None or not self.daemon.started)):
            return None
        slots = [Slot(self.flow, number, found.workers, self._data) for number in range(found.workers)]
        title = f"{self.flow}, {found.workers} worker{'s' if found.workers > 1 else ''}"
        addresses = {f"worker {slot.number}": f"http://127.0.0.1:{port}" for slot in slots if (port := slot.kept_port()) is not None}
        log = str(self.daemon.output_file)
        if found.process is None:
            return PartStatus(self.flow, title, "crashed", None, addresses, 0, 0.0, log)
        state = "running" if _at_work(slots) else "starting"
        up_s = round(time.time() - found.process.create_time(), 1)
        return PartStatus(self.flow, title, state, found.process.pid, addresses, _memory(found.process), up_s, log)

    def _process(self) -> psutil.Process | None:
        found = self.holder()
        return found.process if found is not None else None


def runs(data: Path) -> Sequence[Run]:
    """Of every flow that was ever run from this folder."""
    folders = sorted((data / "run").iterdir()) if (data / "run").is_dir() else []
    return [Run(data, folder.name) for folder in folders if folder.is_dir()]


def _at_work(slots: Sequence[Slot]) -> bool:
    with ThreadPoolExecutor(min(32, len(slots))) as pool:
        return all((said or {}).get("lane") for said in pool.map(ask, slots))


def _memory(supervisor: psutil.Process) -> int:
    """Of it and its workers."""
    total = 0
    for process in (supervisor, *supervisor.children(recursive=True)):
        try:
            total += process.memory_info().rss
        except psutil.Error:
            continue
    return total
