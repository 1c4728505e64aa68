"""Hosts a lane in a worker process: starts it when the control topic is read, drains it when the process is told to end, dies with it."""

import asyncio
import json
import logging
import os
import signal
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from functools import partial
from typing import Any, NoReturn

import mode
import psutil

from schemas.errors import WeftError
from schemas.vocabulary import Exit
from streams.bulletin import Bulletin
from streams.control import Control, catch_up
from streams.lane import Lane
from streams.metrics import Meters, Metric
from streams.slot import Slot
from streams.wiring import Fabric, lane_of
from streams.work import Work

LOGGER = logging.getLogger("weft.worker")
END_S = 9.5  # after a signal; then the process ends whatever it is doing
PAUSED = "control"  # the lane's word for a pause that a person asked for


class LaneHost(mode.Service):
    """One lane in one process. `put` hands a work to the agent that steps it."""

    def __init__(self, parts: Fabric, began_ms: int, put: Callable[[Work], Awaitable[None]], ended: Callable[[], Awaitable[None]]) -> None:
        super().__init__()
        self.parts, self._began_ms, self._put, self._ended = parts, began_ms, put, ended
        self.control = Control()
        self.bulletin = Bulletin(parts.slot.flow, parts.slot.name, parts.publisher, parts.circuits, parts.clock)
        self.meters = Meters(parts.slot.flow, parts.clock.now_ms, self.bulletin.heard, self._worked)
        self.lane: Lane | None = None
        self.first_batch_s: float | None = None  # since the process began
        self._running: asyncio.Task[None] | None = None
        self._fetching: asyncio.Task[None] | None = None
        self._leaving: asyncio.Task[None] | None = None
        self._loops: list[asyncio.Task[None]] = []

    async def on_start(self) -> None:
        """Begin; what takes time goes on behind the worker's start."""
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self.leave)
        self._running = asyncio.create_task(self._guarded(self._run()))

    async def process(self, work: Work) -> None:
        """Step a work; called by the agent."""
        try:
            if self.lane is not None:
                await self.lane.process(work)
        except Exception as error:
            die(self.parts.slot, error)

    def leave(self) -> None:
        """End in order: drain, commit, leave the group, stop Faust."""
        if self.lane is None:
            LOGGER.info("told to end before it began: there is nothing to drain")
            end(Exit.DONE)
        if self._leaving is None:
            timer = threading.Timer(END_S, os._exit, (Exit.FAILED,))
            timer.daemon = True
            timer.start()
            self._leaving = asyncio.create_task(self._guarded(self._leave()))

    def reasons(self) -> Sequence[str]:
        """Why this worker is not ready; none if it is."""
        if self._leaving is not None:
            return ["it is ending"]
        if self.lane is None:
            return ["the control topic is not read to its end yet"]
        if self.meters.held is None:
            return ["no partitions are assigned yet"]
        waiting: Mapping[str, str] = self.lane.status()["waiting_for"]  # type: ignore[assignment]
        return [f"{step} waits: {sentence}" for step, sentence in waiting.items()]

    def status(self) -> Mapping[str, object]:
        """For people and the supervisor."""
        slot, pause = self.parts.slot, self.control.paused(self.parts.slot.flow)
        return {
            "flow": slot.flow,
            "slot": slot.number,
            "of": slot.of,
            "pid": os.getpid(),
            "memory_bytes": psutil.Process().memory_info().rss,
            "first_batch_s": self.first_batch_s,
            "reasons": list(self.reasons()),
            "lane": self.lane.status() if self.lane is not None else None,
            "paused": pause.model_dump() if pause else None,
            "last_failure": self.meters.last_failure,
            "breakers": dict(self.parts.circuits()),
            "alerts": [alert.model_dump() for alert in self.control.alerts(slot.flow)[:20]],
        }

    def metrics(self) -> bytes:
        """As Prometheus reads them."""
        status: Mapping[str, Any] = self.lane.status() if self.lane is not None else {}
        gauges = {
            Metric.PAUSED: float(bool(status.get("paused"))),
            Metric.IN_FLIGHT_BYTES: status["in_flight"]["bytes"] if status else 0,
            Metric.REVIEWS_OPEN: status["reviews_open"] if status else 0,
        }
        breakers = {model: circuit != "closed" for model, circuit in self.parts.circuits().items()}
        self.meters.show(gauges, list(status.get("waiting_for", ())), breakers)
        return self.meters.text()

    async def _run(self) -> None:
        await catch_up(self.parts.reader, self.control)
        lane, signer = lane_of(self.parts, self.control, self.meters)
        await lane.start()
        self.lane = lane
        self.control.changed = partial(self._heard, lane)
        self._heard(lane)
        LOGGER.info("started %s after %.2f s", lane.flow.ident, self._age_s())
        loops = (lane.settling(), lane.expiring(), signer.run(), self.bulletin.run())
        self._loops = [asyncio.create_task(self._guarded(loop)) for loop in loops]
        self._fetching = asyncio.create_task(self._guarded(lane.fetching(self._received)))

    async def _received(self, work: Work) -> None:
        if self.first_batch_s is None:
            self.first_batch_s = self._age_s()
            LOGGER.info("first batch after %.2f s, %.2f s of them at work", self.first_batch_s, time.process_time())
        await self._put(work)

    def _heard(self, lane: Lane) -> None:
        """The control topic said something: pause, resume, or start again under another version."""
        act = lane.pause if self.control.paused(lane.flow.name) else lane.resume
        act(PAUSED)
        current = self.control.applied.current.get(lane.flow.name)
        if current is not None and current != lane.flow.version:
            LOGGER.info("version %s was applied: this worker drains and starts again", current)
            self.leave()

    async def _leave(self) -> None:
        if self._running is not None:
            self._running.cancel()
        if self.lane is not None and self._fetching is not None:
            self.lane.stop()
            await self._fetching
            await self.lane.drain()
            await self.lane.close()
            await self.bulletin.send()
        for task in self._loops:
            task.cancel()
        await self.parts.reader.close()
        await self.parts.publisher.close()
        LOGGER.info("drained")
        await self._ended()

    def _worked(self) -> None:
        """The first batch has settled: whatever ends this process now, the supervisor need not hold the next one back."""
        self.parts.slot.worked_file.write_text(str(os.getpid()))

    def _age_s(self) -> float:
        """How long the process has been running."""
        return (self.parts.clock.now_ms() - self._began_ms) / 1000

    async def _guarded(self, loop: Coroutine[Any, Any, None]) -> None:
        try:
            await loop
        except Exception as error:
            die(self.parts.slot, error, started=self.lane is not None)


def die(slot: Slot, error: Exception, started: bool = True) -> NoReturn:
    """End the process now: whoever starts it again begins from what is committed."""
    known = isinstance(error, WeftError)
    code = error.exit_code if isinstance(error, WeftError) and not started else Exit.FAILED
    sentence = str(error) or type(error).__name__
    LOGGER.error("ended by %s: %s", type(error).__name__, sentence, exc_info=None if known else error)
    fault = {"sentence": sentence, "hint": getattr(error, "hint", ""), "kind": type(error).__name__, "code": int(code), "at": time.time()}
    slot.folder.mkdir(parents=True, exist_ok=True)
    slot.fault_file.write_text(json.dumps(fault))
    end(code)


def end(code: int) -> NoReturn:
    """End the process now, whatever its threads wait for."""
    logging.shutdown()
    os._exit(code)
