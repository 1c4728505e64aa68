"""One lap: one contender, fresh, does the whole input; then its outputs are counted in the topics, and timed by the broker's own stamps."""

import asyncio
import contextlib
import http.client
import subprocess
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import psutil

from connectors.kafka.admin import KafkaAdmin
from ops.bench.contenders import Contender
from ops.bench.ground import Ground
from ops.bench.outputs import Due, Outputs, Seen, topics_of
from ops.bench.results import Lap
from schemas.errors import FailedError
from streams.slot import Slot

LOOK_S = 0.25
AGAIN_S = 1.0  # between two readings of all there is, where some are missing
STALLED_S = 90.0  # without a new record
SCRAPE_S = 5.0


@dataclass(frozen=True, slots=True)
class Task:
    """What a lap is run on."""

    ground: Ground
    due: Due


class Watched:
    """A process's CPU time and memory, looked at often."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process, self._looked = psutil.Process(process.pid), [(time.time() * 1000, 0.0)]
        self.peak_bytes = 0

    def look(self) -> None:
        """Look."""
        with contextlib.suppress(psutil.Error):
            times = self._process.cpu_times()
            self._looked.append((time.time() * 1000, float(times.user + times.system)))
            self.peak_bytes = max(self.peak_bytes, int(self._process.memory_info().rss))

    def cpu_s(self, from_ms: float, to_ms: float) -> float:
        """Used between two moments, as far as the looks tell."""
        return self._at(to_ms) - self._at(from_ms)

    def _at(self, moment_ms: float) -> float:
        before = [one for one in self._looked if one[0] <= moment_ms] or self._looked[:1]
        after = [one for one in self._looked if one[0] > moment_ms] or self._looked[-1:]
        (start, low), (end, high) = before[-1], after[0]
        return low if end <= start else low + (high - low) * (moment_ms - start) / (end - start)


async def lap(task: Task, name: str, contender: Contender, turn: int) -> Lap:
    """Run it.

    Raises:
        FailedError: its process ended, or nothing came.
    """
    ground, group = task.ground, f"bench-{name}-{turn}"
    names = await contender.prepare(ground, group)
    outputs = Outputs(ground.bootstrap, topics_of(names, ground.partitions))
    process = contender.start(ground, group)
    watched = Watched(process)
    try:
        async with _scraped(Slot(group, 0, 1, ground.settings.data_folder)):
            seen = await _finished(task, process, outputs, watched)
    except FailedError as error:
        raise FailedError(f"{contender.title}: {error.sentence}; it said: {ground.said(group)}") from error
    finally:
        process.kill()
        process.wait()
        outputs.records.close()
    await cleared(ground, group, names)
    first, last = seen.span_ms()
    events = seen.events(task.due)
    cpu_us = watched.cpu_s(first, last) / events * 1e6 if events else 0.0
    return Lap(name, turn, task.due.events, seen.events_s(task.due), cpu_us, watched.peak_bytes, seen.count(task.due))


async def _finished(task: Task, process: subprocess.Popen[bytes], outputs: Outputs, watched: Watched) -> Seen:
    """All records, once there are as many as are due; or those there are, once nothing comes any more."""
    size, grew_s = 0, time.monotonic()
    while True:
        watched.look()
        now = await asyncio.to_thread(outputs.records.size)
        if now > size:
            size, grew_s = now, time.monotonic()
        if size >= task.due.records:
            seen = await asyncio.to_thread(outputs.all)
            if len(seen) >= task.due.records and not seen.count(task.due).lost:
                return seen
            await asyncio.sleep(AGAIN_S)
        if process.poll() is not None:
            raise FailedError(f"it ended with {process.returncode}")
        if time.monotonic() - grew_s > STALLED_S:
            if not size:
                raise FailedError(f"nothing came for {STALLED_S:.0f} s")
            return await asyncio.to_thread(outputs.all)
        await asyncio.sleep(LOOK_S)


async def cleared(ground: Ground, group: str, names: Sequence[str]) -> None:
    """Delete what a contender has written: the disk is not endless."""
    admin = KafkaAdmin(ground.kafka)
    await admin.delete([name for name in await admin.topics() if name in names or name.startswith(f"{group}.")])


@contextlib.asynccontextmanager
async def _scraped(slot: Slot) -> AsyncIterator[None]:
    """Read its metrics as Prometheus would; who is not measured, or has none, is read in vain."""

    async def scraping() -> None:
        while True:
            await asyncio.sleep(SCRAPE_S)
            with contextlib.suppress(OSError, http.client.HTTPException):
                await asyncio.to_thread(_scrape, slot.kept_port())

    task = asyncio.create_task(scraping())
    try:
        yield
    finally:
        task.cancel()


def _scrape(port: int | None) -> None:
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=SCRAPE_S)) as connection:
        connection.request("GET", "/metrics", headers={"Accept": "application/openmetrics-text;version=1.0.0"})
        connection.getresponse().read()
