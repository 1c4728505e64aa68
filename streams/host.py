"""Hosts a lane in a worker process: starts it when the control topic is read, drains it when the process is told to end, dies with it."""

import asyncio
import contextlib
import json
import logging
import os
import signal
import threading
import time
import traceback
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from functools import partial
from typing import Any, NoReturn

import mode
import psutil

from schemas.errors import WeftError
from schemas.metrics import Metric
from schemas.vocabulary import Exit
from streams.bulletin import Bulletin
from streams.control import Control, catch_up
from streams.hangs import HangWatch
from streams.lagging import Lagging
from streams.lane import Lane
from streams.metrics import Meters, Unmeasured
from streams.slot import Slot
from streams.spans import Spans
from streams.suspects import KILLED, Suspects
from streams.watch import Watch, Watches
from streams.wiring import Fabric, lane_of
from streams.work import Work

LOGGER = logging.getLogger("weft.worker")
END_S = 9.5  # after a signal; then the process ends whatever it is doing
STOP_S = 2.5  # for Faust's own end once all is drained: told to stop while it still starts, it waits for its control group
SILENT_S = 300.0  # of the log; a takeover that scans a large ledger may take long
WATCH = "watch"  # the alerts of whoever judges samples
PAUSED = "control"  # the lane's word for a pause that a person asked for


class LaneHost(mode.Service):
    """One lane in one process. `put` hands a work to the agent that steps it."""

    def __init__(self, parts: Fabric, began_ms: int, put: Callable[[Work], Awaitable[None]], ended: Callable[[], Awaitable[None]]) -> None:
        super().__init__()
        self.parts, self._began_ms, self._put, self._ended = parts, began_ms, put, ended
        self.control = Control()
        self.bulletin = Bulletin(parts.slot.flow, parts.slot.name, parts.publisher, parts.circuits, parts.clock)
        self.meters = Meters(parts.slot.flow, parts.clock.now_ms, self.bulletin.heard, self._worked)
        self.spans = Spans(parts.slot, parts.settings)
        hung = parts.slot.hang_file.exists() and parts.slot.hang_file.stat().st_size > 0
        self.suspects = Suspects.of(parts.slot.running_file, hung)
        self.lane: Lane | None = None
        self._lagging: Lagging | None = None
        self.first_batch_s: float | None = None  # since the process began
        self._running: asyncio.Task[None] | None = None
        self._fetching: asyncio.Task[None] | None = None
        self._leaving: asyncio.Task[None] | None = None
        self._end: threading.Timer | None = None
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
            self._die(error)

    def leave(self) -> None:
        """End in order: drain, commit, leave the group, stop Faust."""
        if self.lane is None:
            LOGGER.info("told to end before it began: there is nothing to drain")
            end(Exit.DONE)
        if self._leaving is None:
            self._ends_within(END_S, Exit.FAILED)
            self._leaving = asyncio.create_task(self._guarded(self._leave()))

    def ills(self) -> Sequence[str]:
        """What a new start of this worker would mend; none if it is healthy. What it waits for is no illness."""
        ended = [loop.get_name() for loop in self._loops if loop.done() and self._leaving is None]
        silent_s = float(self._lane_status()["fetched_ago_s"]) if self.lane is not None and self._leaving is None else 0.0
        said = [f"the log has not answered for {silent_s:.0f} s"] if silent_s > SILENT_S else []
        return [*(f"{name} has ended" for name in ended), *said]

    def reasons(self) -> Sequence[str]:
        """Why this worker is not ready; none if it is. A flow that a person has paused is ready: it stands still as it should."""
        if self._leaving is not None:
            return ["it is ending"]
        if self.lane is None:
            return ["the control topic is not read to its end yet"]
        if self.meters.held is None:
            return ["no partitions are assigned yet"]
        lane = self._lane_status()
        failing = [f"no transaction commits: {self.meters.last_failure}"] if lane["failing"] else []
        return [*self.ills(), *failing, *(f"{step} waits: {sentence}" for step, sentence in lane["waiting_for"].items())]

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

    def metrics(self, accepted: str = "") -> tuple[bytes, str]:
        """As Prometheus reads them, and their content type; with exemplars where `accepted` says OpenMetrics."""
        meters, lane = self.meters, self._lane_status()
        meters.set(Metric.READY, not self.reasons())
        meters.set(Metric.PAUSED, bool(lane.get("paused")))
        meters.set(Metric.FIRST_BATCH, self.first_batch_s or 0.0)
        meters.set(Metric.IN_FLIGHT_BYTES, lane["in_flight"]["bytes"] if lane else 0)
        meters.set(Metric.IN_FLIGHT_BATCHES, lane["in_flight"]["batches"] if lane else 0)
        meters.set(Metric.REVIEWS_OPEN, lane.get("reviews_open", 0))
        meters.fill(Metric.FLOW_VERSION, [((self.lane.flow.version, self.parts.slot.name), 1)] if self.lane is not None else [])
        meters.fill(Metric.WAITING, [((step,), 1) for step in lane.get("waiting_for", ())])
        meters.fill(Metric.BREAKER_OPEN, [((model,), circuit != "closed") for model, circuit in self.parts.circuits().items()])
        behind = [((source.topic, str(source.partition)), one) for source, one in self._lagging.now()] if self._lagging else []
        meters.fill(Metric.LAG_RECORDS, [(labels, one.records) for labels, one in behind])
        meters.fill(Metric.OLDEST_AGE, [(labels, one.age_s) for labels, one in behind])
        alerts = [alert for alert in self.control.alerts(self.parts.slot.flow) if alert.what == WATCH and not alert.column]
        meters.fill(Metric.WATCH_FAILED, [((alert.step,), alert.figures.get("failed", 1.0)) for alert in alerts])
        meters.spans(*self.spans.news())
        return meters.exposition(accepted)

    def _lane_status(self) -> Mapping[str, Any]:
        return self.lane.status() if self.lane is not None else {}

    async def _run(self) -> None:
        self.parts.log.fence()
        await catch_up(self.parts.reader, self.control)
        if self.suspects.story:
            LOGGER.warning(self.suspects.story)
        lane, signer = lane_of(self.parts, self.control, self._watch(), self.suspects)
        HangWatch(self.suspects, lane.flow.limits.step_s, self.parts.slot.hang_file, partial(die, self.parts.slot)).start()
        await lane.start()
        self.lane, self._lagging = lane, lane.lagging()
        self.control.changed = partial(self._heard, lane)
        self._heard(lane)
        LOGGER.info("started %s after %.2f s", lane.flow.ident, self._age_s())
        loops = {
            "settling": lane.settling(),
            "the deadlines of reviews": lane.expiring(),
            "signing": signer.run(),
            "telling others": self.bulletin.run(),
            "looking at the lag": self._lagging.run(),
        }
        self._loops = [asyncio.create_task(self._guarded(loop), name=name) for name, loop in loops.items()]
        self._fetching = asyncio.create_task(self._guarded(lane.fetching(self._received)))

    def _watch(self) -> Watch:
        """Who hears the lane: meters and spans; where nothing is measured, only that it works."""
        return Watches(self.meters, self.spans) if self.parts.measured else Unmeasured(self.meters)

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
        await asyncio.to_thread(self.spans.close)
        LOGGER.info("drained")
        self._ends_within(STOP_S, Exit.DONE)
        await self._ended()

    def _ends_within(self, seconds: float, code: int) -> None:
        """See that the process ends by then, and as this says, however long anything takes."""
        if self._end is not None:
            self._end.cancel()
        self._end = threading.Timer(seconds, end, (code,))
        self._end.daemon = True
        self._end.start()

    def _worked(self) -> None:
        """The first batch has settled: whatever ends this process now, the supervisor need not hold the next one back."""
        with contextlib.suppress(OSError):  # a full disk holds up nobody else
            self.parts.slot.worked_file.write_text(str(os.getpid()))

    def _age_s(self) -> float:
        """How long the process has been running."""
        return (self.parts.clock.now_ms() - self._began_ms) / 1000

    async def _guarded(self, loop: Coroutine[Any, Any, None]) -> None:
        try:
            await loop
        except Exception as error:
            self._die(error)

    def _die(self, error: Exception) -> NoReturn:
        """By a fault of the lane: no step is to blame, unless one was told already."""
        self.suspects.end((), KILLED)
        die(self.parts.slot, error, started=self.lane is not None)


def die(slot: Slot, error: Exception, started: bool = True) -> NoReturn:
    """End the process now: whoever starts it again begins from what is committed."""
    code, sentence, hint = Exit.FAILED, str(error), ""
    if isinstance(error, WeftError):
        code, hint = Exit.FAILED if started else error.exit_code, error.hint
        LOGGER.error("ended by %s: %s", type(error).__name__, sentence)
    else:
        LOGGER.error("ended by %s; its words are in %s", type(error).__name__, slot.words_file, exc_info=error)
        sentence = f"{type(error).__name__}; its words are in {slot.words_file}"
    fault = {"sentence": sentence or type(error).__name__, "hint": hint, "kind": type(error).__name__, "code": int(code), "at": time.time()}
    with contextlib.suppress(OSError):  # a full disk must not keep the process: it would hold its partitions and do nothing
        slot.folder.mkdir(parents=True, exist_ok=True)
        slot.words_file.unlink(missing_ok=True)
        slot.words_file.touch(0o600)
        slot.words_file.write_text("".join(traceback.format_exception(error)))
        slot.fault_file.write_text(json.dumps(fault))
    end(code)


def end(code: int) -> NoReturn:
    """End the process now, whatever its threads wait for."""
    logging.shutdown()
    os._exit(code)
