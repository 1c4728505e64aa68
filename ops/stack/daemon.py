"""One process of the local stack that outlives the command that started it, found again by pid file, session and environment."""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import psutil

from ops.stack import launch
from streams.settings import Settings
from streams.sources import known

MARK = "WEFT_PART"
CLOCK_TOLERANCE_S = 2.0  # a process's time of creation is computed from the boot time, which wanders


def recorded(file: Path) -> psutil.Process | None:
    """The process that wrote its identity into the file, if it runs; never another one that got its pid."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, psutil.Error):
        record = json.loads(file.read_text())
        process = psutil.Process(record["pid"])
        if abs(process.create_time() - record["created"]) < CLOCK_TOLERANCE_S and process.status() != psutil.STATUS_ZOMBIE:
            return process
    return None


def _without_secrets(environ: Mapping[str, str]) -> Mapping[str, str]:
    """What a part of the local stack inherits: it needs nobody's password, and may run what others wrote."""
    secret = {variable for one in known(Settings) if one.secret for variable in one.variables} | {"WEFT_REDIS", "WEFT_REDIS_URL"}
    return {name: value for name, value in environ.items() if name not in secret and not name.startswith("WEFT_KAFKA_CLIENT_")}


class Daemon:
    """A process in a session of its own, with its files in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pid_file = folder / "process.json"
        self.output_file = folder / "output.log"

    def start(self, argv: Sequence[str], env: Mapping[str, str] | None = None) -> None:
        """Start it; its standard output goes to `output_file`, anew each time.

        Raises:
            OSError: it could not be started.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self.pid_file.unlink(missing_ok=True)
        launcher = [sys.executable, launch.__file__, str(os.getpid()), str(self.pid_file), *argv]
        with self.output_file.open("wb") as output:
            subprocess.Popen(
                launcher,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**_without_secrets(os.environ), **(env or {}), MARK: str(self.folder)},
                cwd=self.folder,
                start_new_session=True,
            )

    @property
    def started(self) -> bool:
        """Whether it was started and not stopped since."""
        return self.pid_file.exists()

    def process(self) -> psutil.Process | None:
        """The process itself, if it runs."""
        return recorded(self.pid_file)

    def members(self) -> list[psutil.Process]:
        """It and everything it started, also what outlived it: whoever carries the mark in its environment."""
        return [process for process in psutil.process_iter() if process.pid != os.getpid() and self._marked(process)]

    def _marked(self, process: psutil.Process) -> bool:
        with contextlib.suppress(psutil.Error, OSError):
            return process.environ().get(MARK) == str(self.folder) and process.status() != psutil.STATUS_ZOMBIE
        return False

    def stop(self, grace_s: float) -> None:
        """End it and everything it started: asked first, killed after `grace_s`. None running is no error."""
        process = self.process()
        if process is not None:
            with contextlib.suppress(psutil.Error):
                process.terminate()
            self._wait(grace_s)
        for leftovers in self._rounds():
            for leftover in leftovers:
                with contextlib.suppress(psutil.Error):
                    leftover.kill()
            psutil.wait_procs(leftovers, timeout=5)
        self.pid_file.unlink(missing_ok=True)

    def _wait(self, grace_s: float) -> None:
        """Until it has ended; an ended one that its parent has not asked after is a zombie, and no longer waited for."""
        until = time.monotonic() + grace_s
        while self.process() is not None and time.monotonic() < until:
            time.sleep(0.05)

    def _rounds(self) -> Iterator[list[psutil.Process]]:
        """What is left, again until nothing is: a process may start another while it is being killed."""
        for _ in range(10):
            leftovers = self.members()
            if not leftovers:
                return
            yield leftovers

    def tail(self, lines: int = 20) -> str:
        """The last lines that it printed."""
        with contextlib.suppress(OSError):
            return "\n".join(self.output_file.read_text(errors="replace").splitlines()[-lines:])
        return ""
