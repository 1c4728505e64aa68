"""Starts worker processes as forks of one that has imported everything: imports are most of what a restart takes.

The standard library's fork server does it. It ends when this process does, and the kernel tells its forks to end then.
"""

import importlib
import multiprocessing
import os
from collections.abc import Callable, Mapping
from multiprocessing.process import BaseProcess

from streams.slot import Slot

_SERVER = multiprocessing.get_context("forkserver")


def starter(environment: Mapping[str, str]) -> Callable[[Slot], BaseProcess]:
    """Starts a slot's worker. The fork server takes this process's environment and files as they are at the first start."""
    os.environ.update(environment)
    _SERVER.set_forkserver_preload(["__main__", "streams.worker"])

    def start(slot: Slot) -> BaseProcess:
        asked = ["--flow", slot.flow, "--slot", str(slot.number), "--of", str(slot.of), "--log", str(slot.log_file)]
        process = _SERVER.Process(target=work, args=(asked,), name=slot.name, daemon=True)
        process.start()
        return process

    return start


def work(arguments: list[str]) -> None:
    """The fork: becomes a worker."""
    os.setsid()  # ctrl-C reaches the supervisor alone, which drains its workers
    importlib.import_module("streams.worker").main([*arguments, "--parent", str(os.getppid())])
