"""Starts worker processes as forks of one that has imported everything: imports are most of what a restart takes.

The standard library's fork server does it. It lives until it is ended, or as long as its forks, each of which ends when the supervisor has.
"""

import contextlib
import importlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Mapping
from multiprocessing import forkserver, resource_tracker
from multiprocessing.process import BaseProcess
from typing import Any

from processors.flow.words import step_modules
from streams.slot import Slot

_SERVER = multiprocessing.get_context("forkserver")
_LATER = (
    "faust.app.router",
    "faust.assignor.partition_assignor",
    "faust.tables.manager",
    "faust.transport.conductor",
    "faust.transport.drivers.aiokafka",
    "faust.web.cache.backends.memory",
    "faust.web.drivers.aiohttp",
    "connectors.telemetry.file",
)
"""What a worker's imports bring in only once it is being started."""


def starter(environment: Mapping[str, str]) -> Callable[[Slot], BaseProcess]:
    """Starts a slot's worker. The fork server takes this process's environment and files as they are at the first start."""
    os.environ.update(environment)
    _SERVER.set_forkserver_preload(["__main__", "streams.worker", *_LATER, *(module.__name__ for module in step_modules().values())])

    def start(slot: Slot) -> BaseProcess:
        serve()
        asked = ["--flow", slot.flow, "--slot", str(slot.number), "--of", str(slot.of), "--log", str(slot.log_file)]
        process = _SERVER.Process(target=work, args=(asked,), name=slot.name, daemon=True)
        process.start()
        return process

    return start


def serve() -> None:
    """See that the server runs. Ctrl-C goes to it too, and before it has imported everything it would end by it."""
    resource_tracker.ensure_running()  # it unblocks the signal, so it comes first
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def end() -> None:
    """End the fork server and the tracker that it brings along, and wait until both are gone. Its forks must have ended."""
    server: Any = forkserver._forkserver  # both would end after this process, when they notice; only their private names can wait for it
    tracker: Any = resource_tracker._resource_tracker
    if server._forkserver_pid is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(server._forkserver_pid, signal.SIGKILL)  # it holds nothing, and may be importing still
        server._stop()
        tracker._stop()


def work(arguments: list[str]) -> None:
    """The fork: becomes a worker."""
    os.setsid()  # ctrl-C reaches the supervisor alone, which drains its workers
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    threading.Thread(target=_outlive, daemon=True).start()
    importlib.import_module("streams.worker").main(arguments)


def _outlive() -> None:
    """Wait until the supervisor has ended, however it did; then drain and end too."""
    supervisor = multiprocessing.parent_process()
    if supervisor is not None:
        supervisor.join()
        os.kill(os.getpid(), signal.SIGTERM)
