"""Where a demo takes place: a folder of its own, begun anew each time; a second demo, or one after a kill, finds nothing in its way."""

import contextlib
import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from ops.run.runs import runs
from ops.stack.daemon import MARK
from ops.stack.local import LocalStack
from schemas.errors import UsageError
from streams.settings import Settings
from streams.slot import run_folder
from streams.tables import IN_PROCESS, ServeTable

FLOW = "departure-delays"
CLEARING = b"clearing"  # in the lock of whoever ends what a killed demo left
CLEARED_S = 60.0  # that takes seconds
GONE_S = 5.0  # until the lock of a killed demo is free: it dies in parts


@dataclass(frozen=True, slots=True)
class Place:
    """The demo's folder: `stack` holds data that end with the demo, `proof` what is left to look at."""

    settings: Settings
    folder: Path

    @classmethod
    def of(cls, settings: Settings, serve: bool) -> "Place":
        """Below the data folder. Nothing that the settings say of a real installation is touched: no cluster, no key."""
        folder = settings.data_folder / "demo"
        models = ServeTable(address=None if serve else IN_PROCESS)
        own = {"data": folder / "stack", "cache": settings.cache_folder, "model_server": models, "log_key": Path("log-key.pem")}
        return cls(settings.at_home().model_copy(update=own), folder)

    @property
    def stack(self) -> LocalStack:
        """The demo's own."""
        return LocalStack(self.settings)

    @property
    def options(self) -> list[str]:
        """What every command of `weft` needs to work on it."""
        project = self.settings.project_folder
        return [*([] if project == Path.cwd() else ["--project", str(project)]), "--data", str(self.settings.data_folder)]

    @property
    def environment(self) -> dict[str, str]:
        """What the workers must be told beyond the usual: the mark by which they are found again."""
        return {"WEFT_LOG_KEY": str(self.settings.log_key_file), MARK: str(run_folder(self.settings.data_folder, FLOW))}

    @property
    def proof(self) -> Path:
        """Receipt and verifier keys."""
        return self.folder / "proof"

    def clear(self) -> None:
        """End and delete what an earlier demo left, one that was killed too: workers, stack, proof."""
        self.end()
        self.stack.wipe()
        shutil.rmtree(self.proof, ignore_errors=True)
        self.proof.mkdir(parents=True)

    def end(self) -> None:
        """End what runs of it; the data stay."""
        for run in runs(self.settings.data_folder):
            run.stop()
        self.stack.down()

    def left(self) -> list[str]:
        """Processes of this demo that still run, for a person."""
        return [f"{process.pid} {process.name()}" for process in psutil.process_iter() if self._is_ours(process)]

    def _is_ours(self, process: psutil.Process) -> bool:
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid == os.getpid():
                return False
            told = [*process.cmdline(), *process.environ().values()]
            return process.status() != psutil.STATUS_ZOMBIE and any(str(self.settings.data_folder) in text for text in told)
        return False


@contextlib.contextmanager
def alone(place: Place, clearing: bool = False) -> Iterator[None]:
    """Only one demo at a time in a folder; whoever is `clearing` away after a killed one is waited for, and waits for it to be gone.

    Raises:
        UsageError: there is one already.
    """
    place.proof.mkdir(parents=True, exist_ok=True)
    handle = os.open(place.folder / "demo.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        until_s = time.monotonic() + (GONE_S if clearing else CLEARED_S)
        while not _locked(handle):
            waits = clearing or os.pread(handle, len(CLEARING), 0) == CLEARING
            if not waits or time.monotonic() > until_s:
                hint = "Wait for it, or give another folder: weft --data DIR demo"
                raise UsageError(f"A demo runs in {place.folder} already.", hint)
            time.sleep(0.1)
        os.ftruncate(handle, 0)
        os.pwrite(handle, CLEARING if clearing else b"", 0)
        yield
    finally:
        os.close(handle)


def _locked(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
