"""The process that holds samples of a flow's live events against its suites: `python -m ops.quality.watcher --flow NAME --socket FD`.

Whoever runs the workers starts it when the first sample comes, with the listening socket and a pipe as standard input: a line there
tells it to judge what is left and end, and when the pipe breaks its parent is gone and it ends at once. It gives way to workers: it runs at
a low priority and rests between windows. Great Expectations is used by one thread of it.
"""

import argparse
import asyncio
import contextlib
import importlib
import logging
import os
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NoReturn, Protocol

import pyarrow as pa

from connectors.kafka.publisher import KafkaPublisher
from connectors.kafka.reader import KafkaReader
from connectors.local.samples import DATAGRAM_BYTES, decode
from ops.quality.alarm import Alarm
from ops.quality.applied import Steps
from ops.quality.days import Days
from ops.quality.findings import Judgement
from ops.quality.windows import Window, Windows
from processors.ports import Sample
from processors.quality.suite import Suite
from schemas.errors import UsageError, WeftError
from schemas.vocabulary import Exit
from streams.logs import log_to_stderr
from streams.registry import project_of
from streams.settings import Settings, load

LOGGER = logging.getLogger("weft.quality")
NICE = 10
TICK_S = 0.1
REST = 4.0  # times as long as a window took: it uses a fifth of a core at most
LOOK_S = 5.0  # between two looks at the control topic for a version that is not known
DEAF_S = 3.0  # after it paused a flow: what comes then was on its way
HELD_SAMPLES = 300  # whose steps are not known yet


class Judging(Protocol):
    """Holds rows against a suite; see ops/quality/judge.py."""

    def judge(self, suite: Suite, rows: pa.Table) -> Judgement:
        """What came of it."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What a watcher works with. `judge` makes the judge, which takes seconds, in the thread that uses it."""

    steps: Steps
    alarm: Callable[[Steps], Alarm]  # once the steps are known
    judge: Callable[[], Judging]
    days: Days


class Watcher:
    """Takes samples, fills windows, has them judged one after the other, and tells."""

    def __init__(self, parts: Parts, clock: Callable[[], float] = time.monotonic) -> None:
        self._parts, self._clock = parts, clock
        self._unknown: list[Sample] = []  # of versions that may just have been applied
        self._windows = Windows(clock)
        self._alarm: Alarm | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="judge")
        self._judge: Judging | None = None
        self._given_up: set[tuple[str, str]] = set()
        self._look_s = 0.0
        self.ending = asyncio.Event()

    def take(self, sample: Sample) -> None:
        """A sample has come."""
        key = sample.flow, sample.step
        watch = self._parts.steps.get(key)
        if watch is None:
            self._unknown = [*self._unknown, sample][-HELD_SAMPLES:]
        elif key not in self._given_up:
            self._windows.add(sample, watch)

    async def run(self) -> None:
        """Until `ending` is set; then what is left is judged."""
        while True:
            ending = self.ending.is_set()
            await self._look()
            window = self._windows.next(ending)
            if window is not None:
                took_s = await self._judged(window)
                await self._rest(took_s * REST)
            elif ending:
                return
            else:
                self._parts.days.save()
                await self._rest(TICK_S)

    async def _rest(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(0 if self.ending.is_set() else seconds):
                await self.ending.wait()
        except TimeoutError:
            return

    async def _look(self) -> None:
        """See what was applied, if samples came of what is not known; what is not known then is let go."""
        if not self._unknown or self._clock() < self._look_s:
            return
        self._look_s = self._clock() + LOOK_S
        try:
            await self._parts.steps.look()
        except WeftError as error:
            LOGGER.warning("the control topic can't be read: %s", error)
            return
        self._alarm = self._alarm or self._parts.alarm(self._parts.steps)
        came, self._unknown = self._unknown, []
        for sample in came:
            self.take(sample)
        self._unknown = []

    async def _judged(self, window: Window) -> float:
        """Judge one and tell; how long the judge was at work."""
        loop, at_ms, paused, began_s = asyncio.get_running_loop(), time.time_ns() // 1_000_000, False, time.perf_counter()
        try:
            if self._judge is None:
                self._judge = await loop.run_in_executor(self._thread, self._parts.judge)
            judgement = await loop.run_in_executor(self._thread, self._judge.judge, window.watch.suite, window.rows)
        except UsageError as error:  # it would be the same with the next window
            await self._give_up(window, error, at_ms)
            return 0.0
        except Exception as error:  # whatever it is, it may lie in these rows; its words may hold values
            LOGGER.error(
                "%s of %s: a window of %d rows is lost: %s", window.key[1], window.key[0], window.rows.num_rows, type(error).__name__
            )
            return time.perf_counter() - began_s
        if judgement.unrepresentable:
            LOGGER.warning("%s of %s: %d dates or times are judged as null", window.key[1], window.key[0], judgement.unrepresentable)
        try:
            if self._alarm is not None:
                paused = await self._alarm.tell(window, judgement, at_ms)
        except WeftError as error:
            LOGGER.warning("what was found could not be told: %s", error)
        if paused:
            LOGGER.info("%s paused the flow", window.key[1])
            self._windows.forget(window.key, DEAF_S)
        self._parts.days.add(window, judgement, at_ms, paused)
        self._parts.days.save(now=paused)
        return judgement.seconds

    async def _give_up(self, window: Window, error: UsageError, at_ms: int) -> None:
        """This suite can't be judged; until another version is applied nobody tries."""
        flow, step = window.key
        sentence = f"the suite {window.watch.suite.name} can't be judged: {error.sentence}"
        LOGGER.error("%s of %s: %s", step, flow, sentence)
        self._given_up.add(window.key)
        self._windows.forget(window.key, 0.0)
        self._parts.days.wrong(window, sentence)
        try:
            if self._alarm is not None:
                await self._alarm.give_up(step, sentence, at_ms)
        except WeftError as failed:
            LOGGER.warning("that could not be told: %s", failed)


def judge() -> Judging:
    """Great Expectations, imported now."""
    made: Judging = importlib.import_module("ops.quality.judge").Judge()
    return made


async def watch(flow: str, settings: Settings, listener: socket.socket) -> None:
    """Until told to end."""
    kafka = settings.kafka_at()
    reader, publisher = KafkaReader(kafka), KafkaPublisher(kafka)
    steps = Steps(flow, reader, project_of(settings))
    days = Days(settings.data_folder, flow)
    watcher = Watcher(Parts(steps, lambda known: Alarm(flow, known.topic, publisher, known.standing), judge, days))

    def came() -> None:
        for datagram in _waiting(listener):
            try:
                watcher.take(decode(datagram))
            except ValueError:
                LOGGER.warning("what came was no sample")

    def told() -> None:
        if os.read(0, 100):
            came()
            watcher.ending.set()
            loop.remove_reader(0)
        else:
            days.save(now=True)
            end(Exit.DONE)

    loop = asyncio.get_running_loop()
    listener.setblocking(False)
    loop.add_reader(listener, came)
    loop.add_reader(0, told)
    await watcher.run()
    days.save(now=True)
    await publisher.close()
    await reader.close()


def _waiting(listener: socket.socket) -> Iterator[bytes]:
    """What has come and was not read yet, some at a time."""
    with contextlib.suppress(BlockingIOError):
        for _ in range(20):
            yield listener.recv(DATAGRAM_BYTES)


def end(code: int) -> NoReturn:
    """End now, whatever threads do."""
    logging.shutdown()
    os._exit(code)


def main(arguments: Sequence[str] | None = None) -> None:
    """The process."""
    parser = argparse.ArgumentParser(prog="python -m ops.quality.watcher")
    parser.add_argument("--flow", required=True)
    parser.add_argument("--socket", type=int, required=True, help="descriptor of the listening socket")
    asked = parser.parse_args(arguments)
    os.nice(NICE)
    log_to_stderr()
    LOGGER.info("started")
    try:
        asyncio.run(watch(asked.flow, load(), socket.socket(fileno=asked.socket)))
    except WeftError as error:
        LOGGER.error("ended: %s %s", error, error.hint)
        end(error.exit_code)
    end(Exit.DONE)


if __name__ == "__main__":
    main()
