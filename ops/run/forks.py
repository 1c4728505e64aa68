"""Starts worker processes as forks of one that has imported everything: imports are most of what a restart takes.

The standard library's fork server does it. It lives as long as its forks, and each of these ends when the supervisor has.
"""

import importlib
import multiprocessing
import os
import signal
import threading
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
    threading.Thread(target=_outlive, daemon=True).start()
    importlib.import_module("streams.worker").main(arguments)


def _outlive() -> None:
    """Wait until the supervisor has ended, however it did; then drain and end too."""
    supervisor = multiprocessing.parent_process()
    if supervisor is not None:
        supervisor.join()
        os.kill(os.getpid(), signal.SIGTERM)
