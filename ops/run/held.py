"""Who runs a flow from a data folder: a lock that the kernel lets go of however its holder ends, and in it who that is."""

import contextlib
import fcntl
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from ops.stack.daemon import recorded
from ops.stack.launch import identity
from schemas.errors import UsageError
from streams.slot import run_folder


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds it, or held it last. Without process and `ended` it was killed."""

    process: psutil.Process | None
    workers: int
    ended: int | None  # the exit code of one that ended in order


def _file(data: Path, flow: str) -> Path:
    return run_folder(data, flow) / "supervisor.lock"


def holder(data: Path, flow: str) -> Holder | None:
    """None if nobody ever held it."""
    try:
        record = json.loads(_file(data, flow).read_text())
        return Holder(recorded(_file(data, flow)), record["workers"], record.get("ended"))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def require_free(data: Path, flow: str) -> None:
    """See that nobody holds it.

    Raises:
        UsageError: somebody does.
    """
    found = holder(data, flow)
    if found is not None and found.process is not None:
        raise _taken(data, flow, str(found.process.pid))


@contextlib.contextmanager
def held(data: Path, flow: str, workers: int) -> Iterator[Callable[[int], None]]:
    """Hold it; call what this gives with the exit code when all has ended in order.

    Raises:
        UsageError: somebody else holds it.
    """
    file = _file(data, flow)
    file.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    record: dict[str, float] = identity() | {"workers": workers}

    def write() -> None:
        os.ftruncate(handle, 0)
        os.pwrite(handle, json.dumps(record).encode(), 0)

    def ended(code: int) -> None:
        record["ended"] = int(code)
        write()

    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            first = recorded(file)
            raise _taken(data, flow, str(first.pid) if first is not None else "another") from error
        write()
        yield ended
    finally:
        os.close(handle)


def _taken(data: Path, flow: str, pid: str) -> UsageError:
    return UsageError(f"{flow} is run from {data} already, by process {pid}", f"end that one first: weft stop {flow}")
