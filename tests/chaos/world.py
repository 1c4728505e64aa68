"""What faults strike: the stack's parts, the way to the broker, the disks, the lines of traffic."""

import contextlib
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from schemas.errors import StackError
from tests.chaos.line import Line
from tests.serving import Served, wait_healthy
from tests.stack import Proxy, TestStack


@dataclass(slots=True)
class Blow:
    """One fault as it happened. Times are monotonic."""

    kind: str
    line: Line
    chance: random.Random
    partitions: Sequence[int] = ()
    began_s: float = 0.0
    ended_s: float = 0.0
    newest: Mapping[int, int] = field(default_factory=dict)  # the newest event of each partition that was hit, when it began
    note: str = ""
    next_s: float | None = None  # when each partition that was hit had a later outcome

    def begin(self, partitions: Sequence[int] | None = None) -> None:
        """It strikes now: these partitions, or all."""
        self.partitions = sorted(partitions if partitions is not None else self.line.departures.acked)
        self.began_s = time.monotonic()
        self.mark()

    def mark(self) -> None:
        """Nothing that came in so far counts for how soon all is well."""
        self.newest = self.line.since(list(self.partitions))

    def end(self) -> None:
        """It is over; what comes in now is to be decided at once."""
        self.ended_s = time.monotonic()


@dataclass(slots=True)
class Disk:
    """A small file system of its own that can be filled up."""

    folder: Path

    @contextlib.contextmanager
    def full(self) -> Iterator[None]:
        ballast = self.folder / "ballast"
        try:
            with ballast.open("wb", buffering=0) as file:
                for size in (1 << 20, 1 << 12):
                    with contextlib.suppress(OSError):
                        while file.write(bytes(size)) == size:
                            continue
            yield
        finally:
            ballast.unlink(missing_ok=True)


@dataclass(slots=True)
class World:
    """Everything there is. Disks are None where no file system of their own can be had."""

    stack: TestStack
    lines: Sequence[Line]
    proxy: Proxy | None = None
    served: Served | None = None
    broker_disk: Disk | None = None
    worker_disk: Disk | None = None
    mended: list[str] = field(default_factory=list)  # what had to be started again though nobody struck it

    def process(self, name: str) -> psutil.Process | None:
        return self.stack.local.parts([name])[0].daemon.process()

    def part(self, name: str) -> psutil.Process:
        process = self.process(name)
        assert process is not None, f"{name} does not run"
        return process

    def up(self, name: str) -> None:
        """Start a part; a second try where the first does not get it up. Nobody is at the broker's second address meanwhile."""
        if self.proxy is not None and name == "kafka":
            self.proxy.cut()
        try:
            self.stack.local.up([name])
        except StackError as error:
            self.mended.append(f"{name} did not start: {error}")
            self.stack.local.up([name])
        finally:
            if self.proxy is not None and name == "kafka":
                self.proxy.heal()

    def serve_processes(self, title: str) -> list[psutil.Process]:
        """Ray's processes of this title."""
        found = []
        for process in self.served.part.daemon.members() if self.served is not None else ():
            with contextlib.suppress(psutil.Error, IndexError):
                if process.cmdline()[0].startswith(f"ray::{title}"):
                    found.append(process)
        return found

    def mend(self) -> None:
        """See that the model server runs at all: its own process may end when Ray does."""
        if self.served is not None and self.served.part.daemon.process() is None:
            self.mended.append("the model server had ended by itself")
            self.served.part.stop()
            self.served.part.start()
            wait_healthy(self.served.part)


def kill(process: psutil.Process) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.kill()
        process.wait(10)


def wait(condition: Callable[[], bool], within_s: float) -> bool:
    """Whether it came true in time."""
    end_s = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > end_s:
            return False
        time.sleep(0.05)
    return True
