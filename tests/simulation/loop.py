"""An event loop whose time is virtual and whose next callback is drawn by a seed, so that what runs on it is a function of the seed.

Callbacks belong to processes: the context variable `PROCESS` is inherited by whatever a process starts. One that is stopped stands still
while the others go on (SIGSTOP); one that is killed runs no further line, not even a `finally` (kill -9).
"""

import asyncio
import contextvars
import heapq
import random
import warnings
from collections.abc import Callable, Coroutine
from contextlib import suppress
from contextvars import ContextVar
from typing import Any

STALLED = 2_000_000
"""Callbacks after which a history is taken to go round in a circle."""


class Process:
    """Whose callbacks they are. `None` stands for those of nobody: the broker, people, whoever injects faults."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.stopped = False
        self.dead = False
        self.held: list[asyncio.Handle] = []  # ready while it was stopped

    def __repr__(self) -> str:
        return self.name


PROCESS: ContextVar[Process | None] = ContextVar("process", default=None)
_LAZY: ContextVar[bool] = ContextVar("lazy", default=False)


_AGAIN = 4


class CircleError(Exception):
    """The history does not come to an end."""


class SeededLoop(asyncio.BaseEventLoop):
    """Runs whatever is ready, drawn by `chance`; when nothing is, time moves on to the next timer.

    `lazy` is the share of tasks that run only when the draw falls on them again and again: so one can fall far behind the others.
    """

    def __init__(self, chance: random.Random, lazy: float = 0.0) -> None:
        super().__init__()
        self._chance, self._lazy = chance, lazy
        self._now_s = 0.0
        self._waiting: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._now_ready: list[asyncio.Handle] = []
        self._count = 0
        self._begun: list[tuple[asyncio.Task[Any], Coroutine[Any, Any, Any], contextvars.Context]] = []
        self.steps = 0
        self.set_exception_handler(_silent)
        self.set_task_factory(self._task)  # type: ignore[arg-type]

    def time(self) -> float:
        """Virtual seconds since the history began."""
        return self._now_s

    def call_soon(self, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None) -> asyncio.Handle:  # type: ignore[override]
        """Have it run among whatever is ready."""
        handle = asyncio.Handle(callback, args, self, context)
        self._ready_now(handle)
        return handle

    call_soon_threadsafe = call_soon  # type: ignore[assignment]

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        """Have it run then."""
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        self._count += 1
        heapq.heappush(self._waiting, (when, self._count, handle))
        return handle

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        """Have it run after so many seconds."""
        return self.call_at(self._now_s + delay, callback, *args, context=context)

    def stop_process(self, process: Process) -> None:
        """SIGSTOP."""
        process.stopped = True
        process.held += [handle for handle in self._now_ready if _process(handle) is process]
        self._now_ready = [handle for handle in self._now_ready if _process(handle) is not process]

    def continue_process(self, process: Process) -> None:
        """SIGCONT."""
        process.stopped = False
        held, process.held = process.held, []
        for handle in held:
            self._ready_now(handle)

    def kill_process(self, process: Process) -> None:
        """SIGKILL."""
        process.dead = True
        process.held.clear()
        self._now_ready = [handle for handle in self._now_ready if _process(handle) is not process]

    def close(self) -> None:
        """End all that never ended, each where it was begun. Until now tasks are held: one that is collected runs its `finally`."""
        begun, self._begun = self._begun, []
        for task, coroutine, context in begun:
            if not task.done():
                with suppress(Exception), warnings.catch_warnings(action="ignore"):
                    context.run(coroutine.close)
        super().close()

    def _task(
        self, loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, Any], context: contextvars.Context | None = None
    ) -> asyncio.Task[Any]:
        context = contextvars.copy_context() if context is None else context.copy()
        if self._lazy:
            context.run(_LAZY.set, self._chance.random() < self._lazy)
        task = asyncio.Task(coroutine, loop=loop, context=context)
        self._begun.append((task, coroutine, context))
        return task

    def _ready_now(self, handle: asyncio.Handle) -> None:
        process = _process(handle)
        if process is None or not (process.dead or process.stopped):
            self._now_ready.append(handle)
        elif not process.dead:
            process.held.append(handle)

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Cancelled timers are passed over when their time comes."""

    def _run_once(self) -> None:
        while self._waiting and (not self._now_ready or self._waiting[0][0] <= self._now_s):
            when, _, timer = heapq.heappop(self._waiting)
            if not timer.cancelled():
                self._now_s = max(self._now_s, when)
                self._ready_now(timer)
        if not self._now_ready:
            raise CircleError("nothing is left that could happen")
        self.steps += 1
        if self.steps > STALLED:
            raise CircleError(f"{STALLED} callbacks ran and the history has not ended")
        ready = self._now_ready
        at = int(self._chance.random() * len(ready))
        for _ in range(_AGAIN if self._lazy else 0):
            if not ready[at]._context.get(_LAZY):  # type: ignore[attr-defined]
                break
            at = int(self._chance.random() * len(ready))
        ready[at], ready[-1] = ready[-1], ready[at]
        handle = ready.pop()
        if not handle.cancelled():
            handle._run()


def _process(handle: asyncio.Handle) -> Process | None:
    return handle._context.get(PROCESS)  # type: ignore[attr-defined,no-any-return]


def _silent(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Tasks of killed processes never end, and nobody asks what became of them."""
