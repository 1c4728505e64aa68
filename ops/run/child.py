"""One slot's worker process: started, watched, started again with a growing pause, told to end."""

import contextlib
import json
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.process import BaseProcess

from streams.slot import Slot

FIRST_S, MOST_S, HEALTHY_S = 0.1, 30.0, 60.0
LOG_BYTES = 20 << 20  # of a slot's log file; then it is moved to worker.log.1


@dataclass(slots=True)
class BackOff:
    """How long to wait before the next start: doubles with each failure, begins anew after a healthy while or some work done."""

    wait_s: float = 0.0

    def failed(self, lived_s: float, worked: bool = False) -> float:
        """The pause after a worker that lived so long, and settled events or did not."""
        self.wait_s = FIRST_S if worked or lived_s >= HEALTHY_S or not self.wait_s else min(MOST_S, self.wait_s * 2)
        return self.wait_s


@dataclass(frozen=True, slots=True)
class Fault:
    """What a worker said of its end."""

    sentence: str
    hint: str
    code: int
    at_s: float  # since the epoch


def fault(slot: Slot) -> Fault | None:
    """Of the slot's last worker, if it ended by itself."""
    try:
        said = json.loads(slot.fault_file.read_text())
        return Fault(said["sentence"], said["hint"], said["code"], said.get("at", 0.0))
    except (OSError, ValueError, KeyError):
        return None


class Child:
    """The worker of a slot. `start` starts it; `now` is monotonic, in seconds."""

    def __init__(self, slot: Slot, start: Callable[[Slot], BaseProcess], now: Callable[[], float]) -> None:
        self.slot, self._start_worker, self._now = slot, start, now
        self._process: BaseProcess | None = None
        self._back_off = BackOff()
        self._started_s = 0.0
        self._due_s = 0.0  # of the next start
        self._told = False
        self._known: list[object] = []  # what the slot's file says of events that end workers
        self.starts = 0
        self.in_vain = 0  # starts in a row after which no event was settled, and nothing more was known of one that ends workers

    @property
    def pid(self) -> int | None:
        """Of the process that runs now."""
        return self._process.pid if self._process is not None else None

    def tend(self) -> str:
        """See that it runs; a sentence for people if it has just ended, else nothing."""
        if self._process is None:
            if self._now() >= self._due_s:
                self._start()
            return ""
        code = self._process.exitcode
        if code is None:
            return ""
        pid, self._process = self._process.pid, None
        if code == 0:  # it asked to be started again
            return ""
        worked = self._learnt() or self._worked(pid)
        self.in_vain = 0 if worked else self.in_vain + 1
        wait_s = self._back_off.failed(self._now() - self._started_s, worked)
        self._due_s = self._now() + wait_s
        return f"{self.slot.name} {_ended(code)}{self._fault()}; it is started again in {wait_s:g} s"

    def tell(self, number: signal.Signals) -> None:
        """Send a signal, if it runs."""
        self._told = True
        if self._process is not None and self._process.exitcode is None and self._process.pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, number)

    def wait(self, seconds: float) -> int | None:
        """The exit code, if it ends within this time; 0 if it does not run, or held nothing yet when it was told to end."""
        if self._process is None:
            return 0
        self._process.join(max(0.0, seconds))
        code = self._process.exitcode
        return 0 if self._told and code == -signal.SIGTERM else code  # once it holds something, it hears the signal and drains

    def _start(self) -> None:
        slot = self.slot
        slot.folder.mkdir(parents=True, exist_ok=True)
        if slot.log_file.exists() and slot.log_file.stat().st_size > LOG_BYTES:
            slot.log_file.replace(slot.log_file.with_suffix(".log.1"))
        self._process = self._start_worker(slot)
        self._started_s = self._now()
        self.starts += 1

    def _worked(self, pid: int | None) -> bool:
        """Whether this worker settled events."""
        try:
            return self.slot.worked_file.read_text() == str(pid)
        except OSError:
            return False

    def _learnt(self) -> bool:
        """Whether more is known than before about events that end workers: the next start then is not in vain."""
        before = self._known
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            said = json.loads(self.slot.running_file.read_bytes().partition(b"\n")[0])
            self._known = said["suspects"] + said["condemned"]
        return bool(self._known) and self._known != before

    def _fault(self) -> str:
        """What the worker itself said of its end."""
        said = fault(self.slot)
        if said is None:
            return f" (see {self.slot.log_file})"
        return f" ({said.sentence}" + (f"; {said.hint})" if said.hint else ")")


def _ended(code: int) -> str:
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
