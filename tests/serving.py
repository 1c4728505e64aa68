"""A Ray Serve for tests, in a temporary folder, ended however the session ends."""

import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ops.stack.part import Site
from ops.stack.ports import assign
from ops.stack.serve import Serve
from tests.models import trained

REAPER = """\
import shutil, sys
from pathlib import Path
from tests.serving import part
sys.stdin.read()
part(Path(sys.argv[1])).stop()
shutil.rmtree(sys.argv[1], ignore_errors=True)
"""


@dataclass(frozen=True, slots=True)
class Served:
    """Where it is found."""

    folder: Path
    grpc: str
    http: str

    @property
    def part(self) -> Serve:
        """The part itself, to end and start it."""
        return part(self.folder)


def part(folder: Path) -> Serve:
    """The part of that folder."""
    return Serve(Site(folder, folder, folder, assign(folder, Serve.port_names)))


@contextlib.contextmanager
def running_serve() -> Iterator[Served]:
    """A model server. A process of its own ends it when this one ends, even by a kill."""
    trained()
    folder = Path(tempfile.mkdtemp(prefix="weft-")).resolve()
    reaper = subprocess.Popen([sys.executable, "-c", REAPER, str(folder)], stdin=subprocess.PIPE, start_new_session=True)
    try:
        serve = part(folder)
        serve.prepare(lambda *_: None)
        serve.start()
        wait_healthy(serve)
        yield Served(folder, serve.addresses["serve"], serve.addresses["serve_http"])
    finally:
        assert reaper.stdin is not None
        reaper.stdin.close()
        reaper.wait(60)


def wait_healthy(serve: Serve) -> float:
    """Wait until it answers; how long that took, in seconds."""
    began = time.monotonic()
    while not serve.healthy():
        waited = time.monotonic() - began
        assert waited < serve.start_s, serve.daemon.tail()
        assert waited < 3 or serve.daemon.process() is not None, serve.daemon.tail()
        time.sleep(0.1)
    return time.monotonic() - began
