"""The local stack: its parts in one data folder, on ports of its own, started and ended together."""

import contextlib
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

import psutil

from ops.stack.alone import alone
from ops.stack.causes import why
from ops.stack.kafka import Kafka
from ops.stack.marked import claim
from ops.stack.part import Part, Progress, Site
from ops.stack.ports import FILE as PORTS_FILE
from ops.stack.ports import assign, holder
from ops.stack.serve import Serve
from ops.stack.valkey import Valkey
from schemas.errors import StackError, UsageError
from streams.settings import Settings

PARTS: Mapping[str, type[Part]] = {"kafka": Kafka, "redis": Valkey, "serve": Serve}
"""Every part by its name, in the order in which they start."""

ELSEWHERE: Mapping[str, str] = {"kafka": "bootstrap", "redis": "redis", "serve": "serve"}
"""The setting that says that a part runs elsewhere, so that the stack need not start it."""

NEEDED_BYTES = 500_000_000
POLL_S = 0.1


def silent(_what: str, _done: int, _total: int) -> None:
    """Progress that nobody looks at."""


@dataclass(frozen=True, slots=True)
class PartStatus:
    """How one part is: `running`, `starting` (runs, does not answer), `crashed` (ended by itself) or `stopped`."""

    name: str
    title: str
    state: str
    pid: int | None
    addresses: Mapping[str, str]
    memory_bytes: int
    up_s: float
    log: str

    def as_json(self) -> dict[str, object]:
        """As plain values."""
        return asdict(self)


class LocalStack:
    """The stack of one data folder."""

    def __init__(self, settings: Settings) -> None:
        self.folder = settings.data_folder
        self._settings = settings

    def parts(self, only: Sequence[str] = ()) -> list[Part]:
        """All parts, or the named ones, in the order in which they start.

        Raises:
            UsageError: there is no part of that name, or the data folder can't be one, or is not Weft's.
            StackError: the data folder can't be made.
        """
        for name in only:
            if name not in PARTS:
                raise UsageError(f"The stack has no part {name!r}.", f"Its parts are: {', '.join(PARTS)}.")
        if any(character in str(self.folder) for character in ',"\n{}\\'):
            raise UsageError(f"The data folder can't be {self.folder}.", "Choose a path without commas, quotes, braces and backslashes.")
        self._claim()
        names = [name for make in PARTS.values() for name in make.port_names]
        settings = self._settings
        site = Site(self.folder, settings.cache_folder, settings.project_folder, assign(self.folder, names), settings.java)
        return [make(site) for name, make in PARTS.items() if not only or name in only]

    def needed(self, name: str) -> bool:
        """Whether the part must run here: no setting says where else it is."""
        return not getattr(self._settings, ELSEWHERE.get(name, ""), None)

    def _wanted(self, only: Sequence[str]) -> list[Part]:
        return [part for part in self.parts(only) if only or self.needed(part.name)]

    def up(self, only: Sequence[str] = (), progress: Progress = silent) -> None:
        """Start what does not run and wait until all of it answers; what this call started ends again when a part fails.

        Raises:
            WeftError: a part could not be started; why, and what to do.
        """
        self._claim()
        with self._alone():
            started: list[Part] = []
            try:
                for part in self._wanted(only):
                    if part.daemon.process() is None:
                        started.append(part)
                        self._start(part, progress)
                for part in self._wanted(only):
                    self._wait(part, progress)
            except BaseException:  # also an interrupt: nothing half started stays behind
                for part in reversed(started):
                    part.stop()
                raise

    def _start(self, part: Part, progress: Progress) -> None:
        part.stop()  # what outlived its process
        self._check_room()
        part.prepare(progress)
        for name in part.port_names:
            port = assign(self.folder, part.port_names)[name]
            taken_by = holder(port)
            if taken_by:
                hint = "End that program, or let the stack choose other ports with `weft up --new-ports`."
                raise StackError(f"Port {port}, which {part.title} keeps in this data folder, is taken by {taken_by}.", hint)
        part.start()

    def _check_room(self) -> None:
        free = shutil.disk_usage(self.folder).free
        if free < NEEDED_BYTES:
            needed = f"the stack needs {NEEDED_BYTES // 1_000_000} MB and {free // 1_000_000} are free"
            sentence = f"The disk of {self.folder} is full: {needed}."
            raise StackError(sentence, "Free some space, or put the data folder elsewhere with --data or WEFT_DATA.")

    def _wait(self, part: Part, progress: Progress) -> None:
        began = time.monotonic()
        label = f"starting {part.title}"
        while not part.healthy():
            waited = time.monotonic() - began
            progress(label, int(waited), int(part.start_s))
            if waited > 1 and part.daemon.process() is None:
                raise why(part, "ended while it was starting")
            if waited > part.start_s:
                raise why(part, f"did not answer within {part.start_s:.0f} s")
            time.sleep(POLL_S)
        progress(label, int(part.start_s), int(part.start_s))

    def down(self, only: Sequence[str] = (), progress: Progress = silent) -> list[str]:
        """End every process of the parts, also those of a start that was cut short; names those that ran."""
        if not self.folder.exists():
            return []
        self._claim()
        with self._alone():
            parts = list(reversed(self.parts(only)))
            ended = []
            for done, part in enumerate(parts):
                progress("stopping", done, len(parts))
                if part.daemon.started or part.daemon.members():
                    ended.append(part.name)
                part.stop()
            progress("stopping", len(parts), len(parts))
            return ended

    def wipe(self) -> None:
        """End everything and delete the data folder.

        Raises:
            UsageError: it is not Weft's.
        """
        if self.folder.exists():
            self.down()
            shutil.rmtree(self.folder, ignore_errors=True)

    def new_ports(self) -> None:
        """Forget the ports; the next start chooses others."""
        self.down()
        (self.folder / PORTS_FILE).unlink(missing_ok=True)

    def status(self, only: Sequence[str] = ()) -> list[PartStatus]:
        """How each part is."""
        return [_status(part) for part in self._wanted(only)]

    def addresses(self) -> dict[str, str]:
        """Where everything is found, whether it runs or not: `bootstrap`, `redis`, `serve` ...; what the settings say comes first."""
        own = {name: address for part in self.parts() for name, address in part.addresses.items()}
        return own | {name: address for name in ELSEWHERE.values() if (address := getattr(self._settings, name))}

    def _claim(self) -> None:
        with self._said():
            claim(self.folder)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Only one command starts or ends the parts of a data folder at a time."""
        with self._said(), alone(self.folder / "stack.lock"):
            yield

    @contextlib.contextmanager
    def _said(self) -> Iterator[None]:
        """What the system refuses is one sentence."""
        try:
            yield
        except OSError as error:
            named = error.filename or self.folder
            hint = "Free some space or get the rights on it, or put the data folder elsewhere with --data or WEFT_DATA."
            raise StackError(f"The stack can't use {named}: {error.strerror or error}.", hint) from error


def _status(part: Part) -> PartStatus:
    process = part.daemon.process()
    memory = sum(_memory(member) for member in part.daemon.members()) if process else 0
    pid, up_s = (process.pid, time.time() - process.create_time()) if process else (None, 0.0)
    return PartStatus(
        part.name, part.title, _state(part, running=process is not None), pid, part.addresses, memory, round(up_s, 1), str(part.log_file)
    )


def _state(part: Part, running: bool) -> str:
    if running:
        return "running" if part.healthy() else "starting"
    return "crashed" if part.daemon.started else "stopped"


def _memory(process: psutil.Process) -> int:
    with contextlib.suppress(psutil.Error):
        return int(process.memory_info().rss)
    return 0
