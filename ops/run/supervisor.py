"""Runs the workers of a flow on this machine: starts them, starts them again when they end, drains them when told to.

A worker ends with its supervisor, also with one that is killed, and drains before.
"""

import contextlib
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from ops.run import forks
from ops.run.child import Child
from ops.run.held import held
from ops.run.samples import SampleWatch
from ops.run.watching import Watching
from schemas.errors import FailedError
from schemas.vocabulary import Exit
from streams.slot import Slot, run_folder

TICK_S, LOOK_S = 0.05, 0.5
DRAIN_S = 12.0  # then it is killed: what it had in flight is read again
IDLE_LOOKS = 3  # so often in a row, with nothing settled between
IN_VAIN = 9  # starts of a worker, about half a minute: what is to end by itself then ends without its work


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run. `sources` are all partitions that the flow consumes, as `topic/partition`."""

    flow: str
    workers: int
    data: Path
    environment: Mapping[str, str]
    sources: frozenset[str]
    until_idle: bool = False

    def slots(self) -> Sequence[Slot]:
        """The slots, from 0."""
        return [Slot(self.flow, number, self.workers, self.data) for number in range(self.workers)]


class Supervisor:
    """One run. `say` is told sentences for people, `show` how the workers stand, twice a second."""

    def __init__(self, plan: Plan, say: Callable[[str], None], show: Callable[[Watching], None]) -> None:
        self._plan, self._say, self._show = plan, say, show
        start = forks.starter(plan.environment)
        self.children = [Child(slot, start, time.monotonic) for slot in plan.slots()]
        self.watching = Watching(plan.slots())
        self._told = threading.Event()
        self._hurry = threading.Event()
        self._quiet_looks = 0
        self._quiet_rows = -1

    def run(self) -> Exit:
        """Until a signal, or until there is nothing to do if the plan says so.

        Raises:
            UsageError: this flow is run from this data folder already.
            FailedError: it is to run until there is nothing to do, and a worker ends again and again before it settles anything.
        """
        with held(self._plan.data, self._plan.flow, self._plan.workers) as ended, self._signals():
            sweep(self._plan)
            samples = SampleWatch(self._plan.flow, self._plan.data, self._plan.environment, time.monotonic)
            try:
                self._tend(samples)
            finally:
                code = self._drain()
                samples.end(self._told.is_set)
                forks.end()
                self.watching.close()
            ended(code)
        return code

    def _tend(self, samples: SampleWatch) -> None:
        while not self._told.wait(TICK_S):
            for sentence in (*(child.tend() for child in self.children), samples.tend()):
                if sentence:
                    self._say(sentence)
            if self._plan.until_idle and (vain := next((child for child in self.children if child.in_vain >= IN_VAIN), None)):
                sentence = f"{vain.slot.name} was started {vain.in_vain} times and settled nothing."
                raise FailedError(sentence, f"Its log says why: {vain.slot.log_file}")
            if self.watching.looked(LOOK_S):
                self._show(self.watching)
                if self._plan.until_idle and self._has_ended():
                    return

    def _has_ended(self) -> bool:
        """Whether the workers were idle for several looks, and settled nothing between."""
        rows = self.watching.tally.rows
        quiet = self.watching.idle(self._plan.sources) and rows == self._quiet_rows
        self._quiet_looks = self._quiet_looks + 1 if quiet else 0
        self._quiet_rows = rows
        return self._quiet_looks >= IDLE_LOOKS

    def _drain(self) -> Exit:
        for child in self.children:
            child.tell(signal.SIGTERM)
        deadline = time.monotonic() + DRAIN_S
        code = Exit.DONE
        for child in self.children:
            while (ended := child.wait(TICK_S)) is None and time.monotonic() < deadline and not self._hurry.is_set():
                continue
            if ended is None:
                child.tell(signal.SIGKILL)
                child.wait(DRAIN_S)
                self._say(f"{child.slot.name} did not drain in time and was killed; what it had in flight is read again next time")
            if ended != 0:
                code = Exit.FAILED
        return code

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        def told(number: int, frame: FrameType | None) -> None:
            del number, frame
            if self._told.is_set():
                self._hurry.set()
            self._told.set()

        before = {number: signal.signal(number, told) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def sweep(plan: Plan) -> None:
    """Remove the folders of slots that an earlier run had and this one has not."""
    for folder in run_folder(plan.data, plan.flow).iterdir():
        if folder.name.isdigit() and int(folder.name) >= plan.workers:
            shutil.rmtree(folder, ignore_errors=True)
