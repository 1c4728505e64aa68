"""The one real stack of a test session, ended however the session ends, and a proxy that breaks its network."""

import contextlib
import multiprocessing
import selectors
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from multiprocessing.managers import BaseManager
from pathlib import Path
from typing import Any

from ops.stack.local import LocalStack
from streams.settings import Settings

REAPER = """\
import shutil, sys
from pathlib import Path
from ops.stack.local import LocalStack
from streams.settings import Settings
sys.stdin.read()
LocalStack(Settings(data=Path(sys.argv[1]))).down()
shutil.rmtree(sys.argv[1], ignore_errors=True)
"""


@dataclass(frozen=True, slots=True)
class TestStack:
    """Where the parts of the real stack are found."""

    __test__ = False

    folder: Path
    bootstrap: str
    second_bootstrap: str  # answers only while a `Proxy` runs
    second: str  # the second listener itself, where the proxy sends what it gets
    redis_url: str

    @property
    def local(self) -> LocalStack:
        """The stack itself, to end and start its parts."""
        return LocalStack(Settings(data=self.folder))


@contextlib.contextmanager
def running_stack(*only: str, elsewhere: Mapping[str, Path] | None = None) -> Iterator[TestStack]:
    """A stack in a temporary folder, some parts' elsewhere. A process of its own ends it when this one ends, even by a kill."""
    folder = Path(tempfile.mkdtemp(prefix="weft-")).resolve()
    reaper = subprocess.Popen([sys.executable, "-c", REAPER, str(folder)], stdin=subprocess.PIPE, start_new_session=True)
    try:
        stack = LocalStack(Settings(data=folder))
        stack.parts()  # marks the folder
        for name, place in (elsewhere or {}).items():
            (folder / name).symlink_to(place)
        stack.up(only)
        found = stack.addresses()
        yield TestStack(folder, found["bootstrap"], found["second_bootstrap"], found["second"], found["redis"])
    finally:
        assert reaper.stdin is not None
        reaper.stdin.close()
        reaper.wait(60)
        shutil.rmtree(folder, ignore_errors=True)


class Proxy:
    """Forwards TCP from one address to another, until `cut`; `heal` makes it work again."""

    def __init__(self, listen: str, target: str) -> None:
        self._listen, self._target = _address(listen), _address(target)
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._listener: socket.socket | None = None
        self._frozen = threading.Event()
        self._late_s, self._bytes_s = 0.0, float("inf")
        self.heal()

    def heal(self) -> None:
        """Take connections (again) and let everything flow."""
        self._frozen.clear()
        self.slow()
        if self._listener is None:
            self._listener = socket.create_server(self._listen)
            threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def freeze(self) -> None:
        """Keep all connections open and let nothing through, as a network that loses every packet."""
        self._frozen.set()

    def slow(self, late_s: float = 0.0, bytes_s: float = float("inf")) -> None:
        """Let everything through so late, and of each connection no more than so much a second."""
        self._late_s, self._bytes_s = late_s, bytes_s

    def half_close(self) -> None:
        """End what the other side says on all connections of now: what is under way to it still arrives, its answers do not."""
        for inner, _ in list(self._pairs):
            with contextlib.suppress(OSError):
                inner.shutdown(socket.SHUT_WR)

    def cut(self) -> None:
        """Close all connections and refuse new ones."""
        listener, self._listener = self._listener, None
        if listener is not None:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        pairs, self._pairs = self._pairs, []
        for end in (end for pair in pairs for end in pair):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                inner, _ = listener.accept()
                try:
                    outer = socket.create_connection(self._target)
                except OSError:  # nobody is there now: as if this were the other side itself
                    inner.close()
                    continue
                for end in (inner, outer):
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else a small piece waits for the last one's receipt
                self._pairs = [pair for pair in self._pairs if pair[0].fileno() >= 0] + [(inner, outer)]
                threading.Thread(target=self._forward, args=(inner, outer), daemon=True).start()

    def _forward(self, inner: socket.socket, outer: socket.socket) -> None:
        with inner, outer, selectors.DefaultSelector() as selector, contextlib.suppress(OSError):
            selector.register(inner, selectors.EVENT_READ, outer)
            selector.register(outer, selectors.EVENT_READ, inner)
            while True:
                for key, _ in selector.select():
                    while self._frozen.is_set():
                        threading.Event().wait(0.05)
                    source, sink = key.fileobj, key.data
                    assert isinstance(source, socket.socket)
                    data = source.recv(65536)
                    if not data:
                        return
                    time.sleep(self._late_s + len(data) / self._bytes_s)
                    sink.sendall(data)


class _Apart(BaseManager):
    """Holds a proxy in a process of its own."""


_Apart.register("Proxy", Proxy)


@contextlib.contextmanager
def proxy_apart(listen: str, target: str) -> Iterator[Proxy]:
    """A proxy that shares its interpreter with nobody: in a busy one each piece waits for its turn, and all behind it becomes slow."""
    with _Apart(ctx=multiprocessing.get_context("spawn")) as manager:
        there: Any = manager
        yield there.Proxy(listen, target)


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host, int(port)
