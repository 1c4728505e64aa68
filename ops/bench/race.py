"""The race: Weft and others do the same job on the same broker and events, in alternating rounds."""

import asyncio
import contextlib
import http.client
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass

import psutil

from connectors.kafka.committed import CommittedOffsets
from ops.bench.contenders import LOOP, Contender
from ops.bench.ground import INPUT, Ground, Say, ground
from schemas.errors import FailedError
from schemas.positions import Source
from streams.slot import Slot

STALLED_S = 240.0
LOOK_S = 0.02
SCRAPE_S = 5.0


@dataclass(frozen=True, slots=True)
class Lap:
    """What one contender did in one round."""

    name: str
    turn: int
    events_s: float
    cpu_us: float  # of the process, per event
    peak_bytes: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """All laps, and how a contender's speed compares with another's."""

    events: int
    names: tuple[str, ...]
    laps: tuple[Lap, ...]

    @property
    def base(self) -> str:
        """Whom the others are compared with: the hand-written loop where it races, else the first."""
        return LOOP if LOOP in self.names else self.names[0]

    def ratios(self, name: str) -> list[float]:
        """Of its speed to the base's, by round."""
        return self._ratios({(lap.name, lap.turn): lap.events_s for lap in self.laps}, name)

    def ratio(self, name: str) -> float:
        """The median."""
        return statistics.median(self.ratios(name))

    def cpu_ratio(self, name: str) -> float:
        """Of the CPU time per event, the median of all rounds: what other work on the machine disturbs least."""
        return statistics.median(self._ratios({(lap.name, lap.turn): lap.cpu_us for lap in self.laps}, name))

    def _ratios(self, measured: Mapping[tuple[str, int], float], name: str) -> list[float]:
        turns = sorted({turn for _, turn in measured})
        return [measured[name, turn] / measured[self.base, turn] for turn in turns]

    def figures(self) -> dict[str, object]:
        """For programs."""
        laps = [
            {"name": lap.name, "round": lap.turn, "events_s": lap.events_s, "cpu_us": lap.cpu_us, "peak_bytes": lap.peak_bytes}
            for lap in self.laps
        ]
        ratios = {
            name: {"ratios": self.ratios(name), "ratio": self.ratio(name), "cpu_ratio": self.cpu_ratio(name)}
            for name in self.names
            if name != self.base
        }
        return {"events": self.events, "to": self.base, "contenders": ratios, "laps": laps}


def race(events: int, rounds: int, contenders: Mapping[str, Contender], say: Say) -> Outcome:
    """Run it on a ground of its own."""
    with ground(say, serve=any(contender.served for contender in contenders.values())) as on:
        return asyncio.run(_laps(on, events, rounds, contenders, say))


async def _laps(on: Ground, events: int, rounds: int, contenders: Mapping[str, Contender], say: Say) -> Outcome:
    say(f"producing {events:,} events")
    await on.load()
    await on.produce(events)
    laps = []
    for turn in range(rounds):
        for name in reversed(tuple(contenders)) if turn % 2 else contenders:
            lap = await _lap(on, name, contenders[name], turn, events)
            figures = f"{lap.events_s:>9,.0f} events/s  {lap.cpu_us:5.1f} us CPU/event  {lap.peak_bytes >> 20:4} MB"
            say(f"round {turn + 1}: {contenders[name].title:18} {figures}")
            laps.append(lap)
    return Outcome(events, tuple(contenders), tuple(laps))


async def _lap(on: Ground, name: str, contender: Contender, turn: int, events: int) -> Lap:
    """From the first commit that is seen to the last: what a start costs is not in it."""
    group = f"bench-{name}-{turn}"
    await contender.prepare(on, group)
    committed = CommittedOffsets(on.kafka, group, [Source(INPUT, partition) for partition in range(on.partitions)])
    process = contender.start(on, group)
    watched = psutil.Process(process.pid)
    scraping = asyncio.create_task(_scraped(Slot(group, 0, 1, on.settings.data_folder)))
    first, peak, began, began_cpu, started = 0, 0, 0.0, 0.0, time.perf_counter()
    try:
        while (done := await committed.total()) < events:
            if not first and done:
                first, began, began_cpu = done, time.perf_counter(), _cpu_s(watched)
            if process.poll() is not None or time.perf_counter() - started > STALLED_S:
                raise FailedError(f"{contender.title} did not finish; it said: {on.said(group)}")
            peak = max(peak, watched.memory_info().rss)
            await asyncio.sleep(LOOK_S)
        seconds, cpu = time.perf_counter() - began, _cpu_s(watched) - began_cpu
        return Lap(name, turn, (done - first) / seconds, cpu / (done - first) * 1e6, peak)
    finally:
        scraping.cancel()
        process.kill()
        process.wait()
        await committed.close()


async def _scraped(slot: Slot) -> None:
    """Read its metrics as Prometheus would; who is not measured, or has none, is read in vain."""
    while True:
        await asyncio.sleep(SCRAPE_S)
        with contextlib.suppress(OSError, http.client.HTTPException):
            await asyncio.to_thread(_scrape, slot.kept_port())


def _scrape(port: int | None) -> None:
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=SCRAPE_S)) as connection:
        connection.request("GET", "/metrics", headers={"Accept": "application/openmetrics-text;version=1.0.0"})
        connection.getresponse().read()


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
