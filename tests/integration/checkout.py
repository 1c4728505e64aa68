"""A copy of this checkout in a folder of its own, as a newcomer has it, and what is done in it."""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[2]
SHORT = "--limit 2000 --no-serve"
SERVED = "--limit 2000"
PROVEN = ("2,029 events", "each in exactly one outcome", "All 29 ended as they had to.")
LEFT_S = 30.0  # for what a killed command leaves to end
WITHOUT = ("WEFT_", "MAKE", "MFLAGS", "VIRTUAL_ENV", "PYTHON", "LANG", "LC_", "COLUMNS")


@dataclass
class Checkout:
    """A checkout at work. `before` stands before each command, e.g. to take its network away."""

    folder: Path
    before: Sequence[str] = ()
    more: dict[str, str] = field(default_factory=dict)  # environment

    @property
    def environment(self) -> dict[str, str]:
        """This one's without what make, Weft and the language of the one who tests say in it."""
        return {name: value for name, value in os.environ.items() if not name.startswith(WITHOUT)} | self.more

    def start(self, *command: str, stderr: int = subprocess.STDOUT) -> "subprocess.Popen[str]":
        """A command in a group of its own, as a terminal gives it one; what it says can be read."""
        signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever runs in the background ignores it, and so does what he starts
        return subprocess.Popen(
            [*self.before, *command],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            encoding="utf-8",
            start_new_session=True,
        )

    def run(self, *command: str) -> str:
        """A command, which must do well; what it printed."""
        with self.start(*command, stderr=subprocess.PIPE) as running:
            said, told = running.communicate()
        assert running.returncode == 0, f"{' '.join(command)}: {running.returncode}\n{said[-4000:]}\n{told[-2000:]}"
        return said

    def weft(self, *words: str) -> str:
        """A command of Weft."""
        return self.run(".venv/bin/weft", *words)

    def demo(self, how: str = SHORT) -> None:
        """A demo, which must prove all and leave nothing."""
        said = self.run("make", "demo", f"DEMO={how}")
        assert all(words in said for words in PROVEN), said[-4000:]
        assert "NOT PROVEN" not in said
        assert self.left() == []

    def left(self) -> list[str]:
        """Processes that still have to do with the folder."""
        return [f"{process.pid} {process.name()}" for process in self._processes()]

    def is_left_alone(self, within_s: float = LEFT_S) -> bool:
        """Whether no process of it is left soon."""
        until_s = time.monotonic() + within_s
        while self.left() and time.monotonic() < until_s:
            time.sleep(0.2)
        return not self.left()

    def end(self) -> None:
        """Kill what is left, so that a failed test leaves nothing."""
        for process in self._processes():
            with contextlib.suppress(psutil.Error):
                process.kill()

    def _processes(self) -> Iterator[psutil.Process]:
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                told = [process.cwd(), *process.cmdline(), *process.environ().values()]
                if process.status() != psutil.STATUS_ZOMBIE and any(str(self.folder) in text for text in told):
                    yield process


@contextlib.contextmanager
def copied(into: Path) -> Iterator[Checkout]:
    """A copy of the files as they are now, without what set-up and stack have made, and with downloads of its own.

    Git is told of the files: tests ask it which there are.
    """
    into.mkdir(parents=True)
    listed = subprocess.run(["git", "ls-files", "-z", "-co", "--exclude-standard"], cwd=ROOT, check=True, capture_output=True, text=True)
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (into / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, into / name)
    subprocess.run(["git", "init", "-q"], cwd=into, check=True)
    checkout = Checkout(into, more={"WEFT_CACHE": str(into / ".tools" / "downloads")})
    try:
        yield checkout
    finally:
        checkout.end()
        shutil.rmtree(into, ignore_errors=True)
