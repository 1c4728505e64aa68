"""Listens for samples of a flow's workers; when the first one comes, starts the process that judges them, and ends it with the run.

Where no flow has a `watch` step nothing is ever started. The process also ends when this one is killed: its standard input breaks.
"""

import contextlib
import select
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from connectors.local.samples import listening
from ops.run.child import LOG_BYTES, BackOff
from streams.slot import samples_socket

PROGRAM = "ops.quality.watcher"
ENOUGH_S = 30.0  # to judge what is left; Great Expectations alone takes five to import
HURRY_S = 4.0  # where somebody waits for the end


class SampleWatch:
    """The socket, and the process behind it. `now` is monotonic, in seconds."""

    def __init__(self, flow: str, data: Path, environment: Mapping[str, str], now: Callable[[], float]) -> None:
        self._flow, self._environment, self._now = flow, environment, now
        self._path = samples_socket(data, flow)
        self._unsaid = ""
        try:
            self._socket: socket.socket | None = listening(self._path)
        except OSError as error:  # a file system without sockets: the flow runs all the same
            self._socket = None
            self._unsaid = f"samples of watch steps are let go: {error.strerror}: {self._path}"
        self._process: subprocess.Popen[bytes] | None = None
        self._back_off = BackOff()
        self._started_s = self._due_s = 0.0

    @property
    def log_file(self) -> Path:
        """What the process logged."""
        return self._path.with_name("watch.log")

    @property
    def pid(self) -> int | None:
        """Of the process, if one runs."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def tend(self) -> str:
        """Start it if a sample waits; a sentence for people if it has just ended."""
        if self._socket is None:
            said, self._unsaid = self._unsaid, ""
            return said
        if self._process is None:
            if self._now() >= self._due_s and select.select([self._socket], [], [], 0)[0]:
                self._start(self._socket.fileno())
            return ""
        if self._process.poll() is None:
            return ""
        code, self._process = self._process.returncode, None
        wait_s = self._back_off.failed(self._now() - self._started_s)
        self._due_s = self._now() + wait_s
        return f"the watch of samples ended with code {code} (see {self.log_file}); it is started again in {wait_s:g} s"

    def end(self, hurry: Callable[[], bool]) -> None:
        """Let it judge what is left, but not for long; workers have ended."""
        process = self._process
        if process is not None and process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(b"end\n")
                process.stdin.flush()
            began = self._now()
            while process.poll() is None and self._now() - began < (HURRY_S if hurry() else ENOUGH_S):
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(0.1)
            process.kill()
            process.wait()
            process.stdin.close()
        if self._socket is not None:
            self._socket.close()
        self._path.unlink(missing_ok=True)

    def _start(self, descriptor: int) -> None:
        if self.log_file.exists() and self.log_file.stat().st_size > LOG_BYTES:
            self.log_file.replace(self.log_file.with_suffix(".log.1"))
        argv = [sys.executable, "-m", PROGRAM, "--flow", self._flow, "--socket", str(descriptor)]
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                argv,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=dict(self._environment),
                pass_fds=(descriptor,),
                start_new_session=True,  # ctrl-C reaches the supervisor alone
            )
        self._started_s = self._now()
