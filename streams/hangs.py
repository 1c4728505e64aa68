"""Ends a worker whose step does not come back, whatever it is doing: waiting for ever, looping, or deep in code that lets nobody else run.

A thread counts how long each step has been at its rows, and says which it was. Where no thread gets a turn, as in a regular expression that
never ends, the interpreter's own watchdog ends the process and leaves the traceback.
"""

import faulthandler
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from schemas.errors import FatalError
from streams.suspects import HUNG, KILLED, Suspects

TICK_S = 0.5


class HangWatch:
    """Watches over the steps of one worker. `end` ends the process."""

    def __init__(self, suspects: Suspects, limit_s: float, trace: Path, end: Callable[[Exception], object]) -> None:
        self._suspects, self._limit_s, self._end = suspects, limit_s, end
        self._trace: TextIO
        try:
            self._trace = trace.open("w")
        except OSError:  # a full disk
            self._trace = sys.stderr

    def start(self) -> None:
        """Watch, for as long as the process lives."""
        threading.Thread(target=self._run, name="hangs", daemon=True).start()

    def _run(self) -> None:
        before = time.monotonic()
        while True:
            faulthandler.dump_traceback_later(self._limit_s + 4 * TICK_S, exit=True, file=self._trace)
            time.sleep(TICK_S)
            now = time.monotonic()
            self.look(min(now - before, 2 * TICK_S))  # a process that was stopped was not at work
            before = now

    def look(self, passed_s: float) -> None:
        """So much time has passed; whoever is at it for too long is told. Of several that run, each may be the one that holds all up."""
        running = list(self._suspects.running)
        for one in running:
            one.seconds += passed_s
        late = [one for one in running if one.seconds > self._limit_s]
        if late:
            self._suspects.end(running, HUNG if len(running) == 1 else KILLED)
            self._end(FatalError(f"{late[0]} has not come back for {self._limit_s:g} s", "limits.step of the flow bounds it"))
