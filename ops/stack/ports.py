"""The ports of a stack: chosen once, free at that moment, and kept in its data folder."""

import contextlib
import json
import random
from collections.abc import Sequence
from pathlib import Path

import psutil

from ops.stack.alone import alone
from schemas.errors import StackError
from streams.slot import bindable

FILE = "ports.json"
RANGE = range(20000, 32000)  # below the ports that systems give to outgoing connections, so that a kept port stays free


def assign(folder: Path, names: Sequence[str]) -> dict[str, int]:
    """The named ports; those without one get a random free one, once.

    Raises:
        StackError: the file that keeps them is broken.
    """
    ports = _kept(folder / FILE)
    if all(name in ports for name in names):
        return ports
    with alone(folder / "ports.lock"):
        ports = _kept(folder / FILE)
        for name in names:
            if name not in ports:
                ports[name] = _free(set(ports.values()))
        written = folder / "ports.new"
        written.write_text(json.dumps(ports, indent=2) + "\n")
        written.replace(folder / FILE)
    return ports


def _kept(file: Path) -> dict[str, int]:
    try:
        ports: dict[str, int] = json.loads(file.read_text()) if file.exists() else {}
    except ValueError as error:
        raise StackError(f"{file} is broken.", "Delete it; the next start chooses other ports.") from error
    return ports


def _free(taken: set[int]) -> int:
    for port in random.sample(RANGE, 200):
        if port not in taken and bindable(port):
            return port
    raise StackError("No port is free on 127.0.0.1.", "End what listens there.")


def holder(port: int) -> str:
    """Who listens on the port, for a person; empty where nobody does."""
    if bindable(port):
        return ""
    with contextlib.suppress(psutil.Error):
        for connection in psutil.net_connections("tcp"):
            if connection.laddr and connection.laddr.port == port and connection.pid:
                return f"{psutil.Process(connection.pid).name()} (process {connection.pid})"
    return "another program"
