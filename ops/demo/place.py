"""Where a demo takes place: a folder of its own, begun anew each time; a second demo, or one after a kill, finds nothing in its way."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from ops.stack.local import LocalStack
from schemas.errors import UsageError
from streams.settings import Settings
from streams.tables import IN_PROCESS, ServeTable


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
        own = {"data": folder / "stack", "model_server": models, "log_key": Path("log-key.pem")}
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
        """What the workers must be told beyond the usual."""
        return {"WEFT_LOG_KEY": str(self.settings.log_key_file)}

    @property
    def proof(self) -> Path:
        """Receipt and verifier keys."""
        return self.folder / "proof"

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
def alone(place: Place) -> Iterator[None]:
    """Only one demo at a time in a folder.

    Raises:
        UsageError: there is one already.
    """
    place.proof.mkdir(parents=True, exist_ok=True)
    handle = os.open(place.folder / "demo.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UsageError(
                f"A demo runs in {place.folder} already.", "Wait for it, or give another folder: weft --data DIR demo"
            ) from error
        yield
    finally:
        os.close(handle)
