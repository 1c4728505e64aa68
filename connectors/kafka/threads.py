"""Work for a thread that owns a client, and its outcome back on the event loop."""

import asyncio
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import TypeVar

T = TypeVar("T")

Inbox = SimpleQueue[Callable[[], None]]


def tell(loop: asyncio.AbstractEventLoop, future: asyncio.Future[T], outcome: T | BaseException) -> None:
    """From a thread: end a future of the loop, if it and the loop still are."""

    def end() -> None:
        if future.done():
            return
        if isinstance(outcome, BaseException):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)

    if not loop.is_closed():
        loop.call_soon_threadsafe(end)


def post(inbox: Inbox, work: Callable[[], T]) -> asyncio.Future[T]:
    """Give work to the thread that reads `inbox`; the future brings what it returns or raises."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def run() -> None:
        try:
            outcome: T | BaseException = work()
        except BaseException as error:  # it is raised where the future is awaited
            outcome = error
        tell(loop, future, outcome)

    inbox.put(run)
    return future


class CallThread:
    """One daemon thread that does what it is given, in order; a hung call does not keep the process from ending."""

    def __init__(self, name: str) -> None:
        self._inbox: Inbox = SimpleQueue()
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def submit(self, work: Callable[[], T]) -> asyncio.Future[T]:
        """Run `work` on the thread."""
        return post(self._inbox, work)

    def end(self) -> None:
        """Let the thread end once it has done what it was given."""
        self._inbox.put(self._stop)

    def _run(self) -> None:
        self._running = True
        while self._running:
            self._inbox.get()()

    def _stop(self) -> None:
        self._running = False
