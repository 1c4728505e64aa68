"""A backlog that appears at once, drained by one or several processes that wait for it, and looked at all the while."""

import asyncio
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import psutil

from connectors.kafka.admin import KafkaAdmin, Topic
from connectors.kafka.committed import CommittedOffsets
from connectors.kafka.producing import TransactionalProducer
from ops.bench.ground import Ground, Say, departures
from schemas.errors import FailedError, UnreachableError
from schemas.positions import Source

LOOK_S = 0.02
JOIN_S = 90.0  # for all processes to hold their share
SETTLE_S = 3.0  # a group that moves may move once more
STALLED_S = 120.0  # without a commit
TOLD_EVERY = 1_000_000
OPEN_MS = 900_000  # the broker's own bound for a transaction


@dataclass(frozen=True, slots=True)
class Crew:
    """Processes that share a topic as one group. `start` runs the one of a slot."""

    title: str
    group: str
    topic: str
    size: int
    start: Callable[[int], subprocess.Popen[bytes]]


@dataclass(frozen=True, slots=True)
class Mark:
    """How far it was at a moment."""

    at_s: float  # since the backlog appeared
    done: int
    memory_bytes: int  # of all processes
    cpu_s: float  # of all processes


@dataclass(frozen=True, slots=True)
class Drained:
    """What became of a backlog."""

    title: str
    workers: int
    partitions: int
    events: int
    seconds: float
    cpu_us: float  # of all processes, per event
    peak_bytes: int  # of all processes
    held: Sequence[int]  # partitions of the topic that each process had
    marks: Sequence[Mark]

    @property
    def events_s(self) -> float:
        """Of all processes."""
        return self.events / self.seconds


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of a drained backlog."""

    events: int
    events_s: float
    memory_bytes: float  # on average
    cpu_us: float  # per event


def parts(marks: Sequence[Mark], size: int) -> Sequence[Part]:
    """The backlog in stretches of so many events. A stretch begins and ends between two marks, where they say it does."""
    done, at = np.array([mark.done for mark in marks]), np.array([mark.at_s for mark in marks])
    memory, cpu = np.array([mark.memory_bytes for mark in marks]), np.array([mark.cpu_s for mark in marks])
    edges = np.unique([0, *range(size, int(done[-1]) + 1, size)])
    moments = np.interp(edges, np.concatenate([[0], done]), np.concatenate([[0.0], at]))
    used_s = np.interp(moments, at, cpu)
    found = []
    for (low, high), (began, ended), cpu_s in zip(pairwise(edges), pairwise(moments), np.diff(used_s), strict=True):
        within, events = memory[(at >= began) & (at <= ended)], int(high - low)
        memory_bytes = float(within.mean()) if len(within) else float("nan")
        found.append(Part(events, float(events / (ended - began)), memory_bytes, float(cpu_s / events * 1e6)))
    return found


@asynccontextmanager
async def hidden(on: Ground, topic: str, events: int, say: Say) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """A topic with so many departures in one transaction that is open: who reads what is committed sees all of them once it is called."""
    await KafkaAdmin(on.kafka).create([Topic(topic, on.partitions)])
    producer = TransactionalProducer(replace(on.kafka, transaction_timeout_ms=OPEN_MS), f"backlog-{topic}")

    async def reveal() -> None:
        await producer.commit([], None)

    try:
        await producer.start()
        await producer.begin()
        sent = 0
        for outgoing in departures(events, topic):
            producer.produce(outgoing)
            await producer.flush()
            before, sent = sent, sent + len(outgoing.values)
            if before // TOLD_EVERY < sent // TOLD_EVERY:
                say(f"produced {sent:,} events")
        yield reveal
    finally:
        await producer.close()


async def drain(on: Ground, crew: Crew, events: int, say: Say) -> Drained:
    """Start the crew on a hidden backlog, show it, and wait until all of it is committed."""
    async with hidden(on, crew.topic, events, say) as reveal:
        with started(crew) as processes:
            held = await _shared(on, crew)
            cpu_s = _cpu_s(processes)
            await reveal()
            marks = [mark async for mark in watched(on, crew, processes, events, time.perf_counter())]
            used_s = _cpu_s(processes) - cpu_s
    peak = max(mark.memory_bytes for mark in marks)
    return Drained(crew.title, crew.size, on.partitions, events, marks[-1].at_s, used_s / events * 1e6, peak, held, marks)


@contextmanager
def started(crew: Crew) -> Iterator[Sequence[psutil.Process]]:
    """The crew's processes; told to end afterwards, so that workers sign what they have written."""
    processes = [crew.start(slot) for slot in range(crew.size)]
    try:
        yield [psutil.Process(process.pid) for process in processes]
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            try:
                process.wait(15.0)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


async def watched(on: Ground, crew: Crew, processes: Sequence[psutil.Process], events: int, began_s: float) -> AsyncIterator[Mark]:
    """A mark every few milliseconds until all is committed.

    Raises:
        FailedError: a process ended, or nothing is committed any more.
    """
    committed = CommittedOffsets(on.kafka, crew.group, [Source(crew.topic, partition) for partition in range(on.partitions)])
    done, moved_s = 0, began_s
    try:
        while done < events:
            before, done, now_s = done, await committed.total(), time.perf_counter()
            moved_s = now_s if done > before else moved_s
            if now_s - moved_s > STALLED_S or any(_ended(process) for process in processes):
                raise FailedError(f"{crew.title} stopped after {done:,} events; it said: {on.said(crew.group)}")
            memory_bytes = sum(process.memory_info().rss for process in processes)
            yield Mark(now_s - began_s, min(done, events), memory_bytes, _cpu_s(processes))
            await asyncio.sleep(LOOK_S)
    finally:
        await committed.close()


async def _shared(on: Ground, crew: Crew) -> Sequence[int]:
    """Wait until the group has all its members and stands; how many partitions of the topic each has, the most first."""
    admin, end_s, stands_s = KafkaAdmin(on.kafka), time.perf_counter() + JOIN_S, 0.0
    before: Sequence[int] = ()
    while time.perf_counter() < end_s:
        members: Mapping[str, Sequence[Source]] = {}
        with suppress(UnreachableError):  # a fresh broker has no coordinator yet
            members = await admin.held(crew.group)
        held = sorted((sum(source.topic == crew.topic for source in sources) for sources in members.values()), reverse=True)
        if len(held) < crew.size or sum(held) < on.partitions or held != before:
            before, stands_s = held, time.perf_counter()
        elif time.perf_counter() - stands_s > SETTLE_S:
            return held
        await asyncio.sleep(0.2)
    raise FailedError(f"{crew.title}: {len(before)} of {crew.size} processes joined within {JOIN_S:.0f} s; {on.said(crew.group)}")


def _ended(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def _cpu_s(processes: Sequence[psutil.Process]) -> float:
    return sum(times.user + times.system for times in (process.cpu_times() for process in processes))
