"""A worker process that has imported everything and waits for a slot: imports are most of what a restart takes."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from streams.slot import Slot


class Standby:
    """Starts worker processes of a flow, one of them ahead of its need. They end when this process does."""

    def __init__(self, flow: str, workers: int, folder: Path, environment: Mapping[str, str]) -> None:
        self._asked = ["--flow", flow, "--of", str(workers), "--parent", str(os.getpid())]
        self._log, self._environment = folder / "standby.log", dict(environment)
        self._spare: subprocess.Popen[bytes] | None = None

    def take(self, slot: Slot) -> subprocess.Popen[bytes]:
        """A process that becomes the slot's worker now."""
        spare, self._spare = self._spare, None
        process = spare if spare is not None and spare.poll() is None else self._start()
        with contextlib.suppress(BrokenPipeError):  # it has just ended: its exit code tells
            if process.stdin is not None:
                process.stdin.write(f"{slot.number}\n".encode())
                process.stdin.close()
        return process

    def refill(self) -> None:
        """Have one ready."""
        if self._spare is None or self._spare.poll() is not None:
            self._spare = self._start()

    def end(self) -> None:
        """None is needed any more."""
        if self._spare is not None:
            self._spare.kill()
            self._spare.wait()
            self._spare = None

    def _start(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "streams.worker", *self._asked],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=self._environment,
                start_new_session=True,  # ctrl-C reaches the supervisor alone, which drains its workers
            )
