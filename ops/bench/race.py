"""The lane's benchmark: Weft and the hand-written loop do the same job on the same broker and events, in alternating rounds."""

import asyncio
import contextlib
import http.client
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import psutil

from connectors.kafka.admin import KafkaAdmin, Topic
from connectors.kafka.committed import CommittedOffsets
from connectors.kafka.publisher import KafkaPublisher
from connectors.kafka.settings import KafkaSettings
from connectors.redis.lookup import RedisLookup
from ops.bench.contenders import INPUT, PARTITIONS, Course, Handmade, Weft
from ops.examples import flights
from ops.flow.applying import Applying, plan_only, run_apply
from ops.stack.local import LocalStack
from processors.flow.project import FolderProject
from schemas.contracts import built_in
from schemas.errors import FailedError, UsageError
from schemas.positions import Source
from serving.catalog import Catalog
from serving.training.learners import LEARNERS
from serving.training.train import train
from streams.ledger.key import LogKey
from streams.settings import Settings
from streams.slot import Slot

MODEL = "arrival-delay-lite"
STALLED_S = 240.0
LOOK_S = 0.02

SCRAPE_S = 5.0

Say = Callable[[str], None]
Contender = Weft | Handmade
HANDMADE = Handmade()


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
    laps: tuple[Lap, ...]

    def ratios(self, contender: Weft, to: Contender = HANDMADE) -> list[float]:
        """To the other's in the same round, by round."""
        speed: dict[int, dict[str, float]] = {}
        for lap in self.laps:
            speed.setdefault(lap.turn, {})[lap.name] = lap.events_s
        return [laps[contender.name] / laps[to.name] for laps in speed.values()]

    def cpu_ratio(self, contender: Weft, to: Contender = HANDMADE) -> float:
        """Of the CPU time per event, the median of all rounds: what other work on the machine disturbs least."""
        used: dict[int, dict[str, float]] = {}
        for lap in self.laps:
            used.setdefault(lap.turn, {})[lap.name] = lap.cpu_us
        return statistics.median(laps[contender.name] / laps[to.name] for laps in used.values())

    def ratio(self, contender: Weft, to: Contender = HANDMADE) -> float:
        """The median."""
        return statistics.median(self.ratios(contender, to))

    def figures(self, contender: Weft, to: Contender, served: Weft | None) -> dict[str, object]:
        """For programs."""
        laps = [
            {"name": lap.name, "round": lap.turn, "events_s": lap.events_s, "cpu_us": lap.cpu_us, "peak_bytes": lap.peak_bytes}
            for lap in self.laps
        ]
        more = {"served_ratio": self.ratio(served, to)} if served else {}
        return {"events": self.events, "laps": laps, **more, "ratios": self.ratios(contender, to), "ratio": self.ratio(contender, to)}


def race(events: int, rounds: int, contenders: Sequence[Contender], say: Say) -> Outcome:
    """Run it in a folder and on a stack of its own, which are gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="weft-bench-"))
    settings = Settings(project=folder / "project", data=folder / "data")
    stack = LocalStack(settings)
    try:
        runners = [contender for contender in contenders if isinstance(contender, Weft)]
        serve = any(runner.served for runner in runners)
        _project(folder / "project", runners, rounds, say)
        say("starting Kafka, Redis and Ray Serve" if serve else "starting Kafka and Redis")
        stack.up(only=() if serve else ("kafka", "redis"))
        at = stack.addresses()
        course = Course(at["bootstrap"], at["redis"], at["serve"] if serve else "", folder)
        LogKey.create(settings.log_key_file)
        return asyncio.run(_laps(course, settings, events, contenders, rounds, say))
    finally:
        stack.down()
        shutil.rmtree(folder, ignore_errors=True)


def _project(folder: Path, runners: Sequence[Weft], rounds: int, say: Say) -> None:
    """A project with a flow for each runner and round."""
    shipped = FolderProject(folder).read("flows", "departure-delays.yaml")
    if shipped is None:
        raise UsageError("the shipped flow departure-delays is missing", "install Weft again")
    (folder / "flows").mkdir(parents=True)
    for runner, turn in product(runners, range(rounds)):
        (folder / "flows" / f"{runner.group(turn)}.yaml").write_text(runner.flow_file(turn, shipped.text))
    if MODEL not in Catalog(FolderProject(folder)).names():
        train([LEARNERS[MODEL]], folder / "models", say)


async def _laps(course: Course, settings: Settings, events: int, contenders: Sequence[Contender], rounds: int, say: Say) -> Outcome:
    kafka = KafkaSettings(course.bootstrap)
    admin = KafkaAdmin(kafka)
    await admin.create([Topic(INPUT, PARTITIONS), *Handmade().topics(0)])
    say(f"producing {events:,} events")
    await _produce(kafka, course.redis, events)
    laps = []
    for turn in range(rounds):
        for runner in (contender for contender in contenders if isinstance(contender, Weft)):
            applying = Applying(settings, FolderProject(settings.project_folder), runner.group(turn), PARTITIONS, False)
            await run_apply(applying, await plan_only(applying))
        for contender in reversed(contenders) if turn % 2 else contenders:
            lap = await _lap(contender, course, turn, events)
            figures = f"{lap.events_s:>9,.0f} events/s  {lap.cpu_us:5.1f} us CPU/event  {lap.peak_bytes >> 20:4} MB"
            say(f"round {turn + 1}: {lap.name:18} {figures}")
            laps.append(lap)
    return Outcome(events, tuple(laps))


async def _produce(kafka: KafkaSettings, redis: str, events: int) -> None:
    """The first departures of the year, again and again if more are asked for, and what they are enriched with."""
    lookup, publisher = RedisLookup(redis), KafkaPublisher(kafka)
    try:
        await lookup.load(flights.lookups())
        rows = flights.departures()
        while events > 0:
            for outgoing in flights.events(
                rows.slice(0, min(events, len(rows))), built_in()["flights.Departure"], "avro-single-object", INPUT
            ):
                await publisher.publish(outgoing)
            events -= len(rows)
    finally:
        await publisher.close()
        await lookup.close()


async def _lap(contender: Contender, course: Course, turn: int, events: int) -> Lap:
    """From the first commit that is seen to the last: what a start costs is not in it."""
    sources = [Source(INPUT, partition) for partition in range(PARTITIONS)]
    committed = CommittedOffsets(KafkaSettings(course.bootstrap), contender.group(turn), sources)
    process = contender.start(course, turn)
    watched = psutil.Process(process.pid)
    scraping = asyncio.create_task(_scraped(Slot(contender.group(turn), 0, 1, course.folder / "data")))
    first, peak, began, began_cpu, started = 0, 0, 0.0, 0.0, time.perf_counter()
    try:
        while (done := await committed.total()) < events:
            if not first and done:
                first, began, began_cpu = done, time.perf_counter(), _cpu_s(watched)
            if process.poll() is not None or time.perf_counter() - started > STALLED_S:
                raise FailedError(f"{contender.name} did not finish; it said: {course.said(contender.group(turn))}")
            peak = max(peak, watched.memory_info().rss)
            await asyncio.sleep(LOOK_S)
        seconds, cpu = time.perf_counter() - began, _cpu_s(watched) - began_cpu
        return Lap(contender.name, turn, (done - first) / seconds, cpu / (done - first) * 1e6, peak)
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
