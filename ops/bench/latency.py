"""Event to result under an open-loop load, at several rates: each contender alone on the ground, in alternating rounds."""

import asyncio
import contextlib
import http.client
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import psutil

from connectors.kafka.admin import KafkaAdmin, Topic
from connectors.kafka.committed import CommittedOffsets
from ops.bench.contenders import LOOP, Contender, Peer, Weft
from ops.bench.ground import Ground, Say, ground, out_of
from ops.bench.latencies import QUANTILES, Arrived, Sent, latencies, quantiles
from ops.bench.peers.job import topics
from ops.top.exposition import of, parse
from schemas.errors import FailedError, UsageError
from schemas.metrics import Metric
from schemas.positions import Source
from streams.slot import Slot

CONTENDERS: Mapping[str, Contender] = {
    LOOP: Peer(more=["--wait-s", "0"]),  # what is there: with a wait for whole batches every latency is that wait
    "weft": Weft("Weft"),
    "weft-serve": Weft("Weft, with Serve", served=True),
}
"""Everyone by the name that `--only` takes."""

RATES = (100.0, 500.0, 2_000.0, 10_000.0)
LOOK_S = 0.05
STALLED_S = 60.0
LATE_MS = 5.0  # a sender that is later, in one event of a thousand, is told of
FIRST = 200.0, 3.0  # events/s and seconds of the load that warms a contender up: connections, caches, its share of the partitions


@dataclass(frozen=True, slots=True)
class Load:
    """What is sent to each contender in each round."""

    rates: Sequence[float]  # events/s
    seconds: float  # that are measured
    warm_s: float  # before that, at the same rate

    @property
    def whole_s(self) -> float:
        """Of one rate."""
        return self.warm_s + self.seconds


@dataclass(frozen=True, slots=True)
class Lap:
    """One contender at one rate in one round."""

    contender: str
    turn: int
    rate: float
    took_ms: Mapping[str, float]  # from due to result, by quantile
    results: int
    rows: float  # of a transaction, on average
    cpu: float  # of one core
    late_ms: float  # how late the sender was, in one event of a thousand


@dataclass(frozen=True, slots=True)
class Outcome:
    """All laps."""

    laps: Sequence[Lap]

    def median(self, contender: str, rate: float, quantile: str) -> float:
        """Of all rounds, in milliseconds."""
        return statistics.median(lap.took_ms[quantile] for lap in self._of(contender, rate))

    def ratio(self, contender: str, rate: float, quantile: str = "p99", to: str = LOOP) -> float:
        """To the other's in the same round, the median of all rounds."""
        pairs = zip(self._of(contender, rate), self._of(to, rate), strict=True)
        return statistics.median(mine.took_ms[quantile] / other.took_ms[quantile] for mine, other in pairs)

    def table(self) -> Sequence[Mapping[str, object]]:
        """Medians of all rounds, by rate and contender."""
        names, rates = (dict.fromkeys(getattr(lap, word) for lap in self.laps) for word in ("contender", "rate"))
        return [self._row(name, rate, LOOP in names) for rate in rates for name in names]

    def _row(self, name: str, rate: float, compared: bool) -> Mapping[str, object]:
        took = {f"{quantile} ms": round(self.median(name, rate, quantile), 1) for quantile in QUANTILES}
        rows, cpu = (statistics.median(getattr(lap, word) for lap in self._of(name, rate)) for word in ("rows", "cpu"))
        ratio = {"p99 to the loop's": f"{self.ratio(name, rate):.2f}"} if compared else {}
        told = {"events/s": f"{rate:g}", "who": CONTENDERS[name].title}
        return {**told, **took, "rows a transaction": round(rows, 1), "CPU": f"{cpu:.0%}", **ratio}

    def _of(self, contender: str, rate: float) -> Sequence[Lap]:
        return sorted((lap for lap in self.laps if (lap.contender, lap.rate) == (contender, rate)), key=lambda lap: lap.turn)

    def as_json(self) -> Mapping[str, object]:
        """For programs."""
        return {"table": self.table(), "laps": [asdict(lap) for lap in self.laps]}


def measure(names: Sequence[str], load: Load, rounds: int, say: Say) -> Outcome:
    """On a ground of its own: every contender in every round, every second round backwards.

    Raises:
        UsageError: there is none of that name.
    """
    if unknown := set(names) - set(CONTENDERS):
        raise UsageError(f"There is no contender {min(unknown)!r}.", f"There are: {', '.join(CONTENDERS)}.")
    with ground(say, serve=any(CONTENDERS[name].served for name in names)) as on:
        return asyncio.run(rounds_on(on, names, load, rounds, say))


async def rounds_on(on: Ground, names: Sequence[str], load: Load, rounds: int, say: Say) -> Outcome:
    """Every contender in every round, on a ground that is there."""
    await on.load()
    say("a first lap that is not counted: a broker that has just begun is slow")
    await Trial(on, names[0], -1).run(Load([max(load.rates)], load.whole_s, 0.0))
    laps: list[Lap] = []
    for turn in range(rounds):
        for name in names[::-1] if turn % 2 else names:
            for lap in await Trial(on, name, turn).run(load):
                say(f"round {turn + 1}: {CONTENDERS[name].title:18} {_told(lap)}")
                laps.append(lap)
    return Outcome(laps)


def _told(lap: Lap) -> str:
    took = "  ".join(f"{name} {value:7.1f}" for name, value in lap.took_ms.items())
    late = f"; THE SENDER WAS {lap.late_ms:.0f} ms LATE" if lap.late_ms > LATE_MS else ""
    return f"{lap.rate:>7,.0f} events/s  {took} ms  {lap.rows:7.1f} rows a transaction  {lap.cpu:4.0%} CPU{late}"


class Trial:
    """One contender in one round: its own input topic, its own group, all rates one after another."""

    def __init__(self, on: Ground, name: str, turn: int) -> None:
        self._on, self._name, self._turn = on, name, turn
        self._group = f"latency-{name}-{turn}"
        self._topic = f"in.{self._group}"
        self._contender = replace(CONTENDERS[name], topic=self._topic)
        self._sent = 0

    async def run(self, load: Load) -> Sequence[Lap]:
        """A lap for each rate."""
        await KafkaAdmin(self._on.kafka).create([Topic(self._topic, self._on.partitions)])
        await self._contender.prepare(self._on, self._group)
        rates = (FIRST, *((rate, load.whole_s) for rate in load.rates))
        async with self._running() as process, self._observed() as arrived:
            counts = [await self._loaded(process, rate, seconds) for rate, seconds in rates]
        return [self._lap(load, rate, Arrived.load(arrived), *count) for rate, count in zip(load.rates, counts[1:], strict=True)]

    async def _loaded(self, process: psutil.Process, rate: float, seconds: float) -> tuple[float, float]:
        """Send, and wait until all of it is committed; rows of a transaction, and the share of a core that the contender took."""
        began, cpu, before = time.perf_counter(), _cpu_s(process), await self._transactions()
        told = ["--rate", str(rate), "--seconds", str(seconds), "--skip", str(self._sent), "--out", str(self._file(rate))]
        sender = self._openloop("send", self._topic, *told)
        try:
            while sender.poll() is None:
                await asyncio.sleep(LOOK_S)
        finally:
            sender.kill()
        if sender.returncode:
            raise FailedError(f"the sender failed; it said: {self._on.said(f'{self._group}-send')}")
        taken = _cpu_s(process) - cpu
        self._sent += round(rate * seconds)
        await self._settled(process)
        transactions = await self._transactions() - before
        return rate * seconds / max(1.0, transactions), taken / (time.perf_counter() - began)

    async def _settled(self, process: psutil.Process) -> None:
        sources = [Source(self._topic, partition) for partition in range(self._on.partitions)]
        committed = CommittedOffsets(self._on.kafka, self._group, sources)
        end_s = time.perf_counter() + STALLED_S
        try:
            while await committed.total() < self._sent:
                if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE or time.perf_counter() > end_s:
                    raise FailedError(f"{self._contender.title} did not finish; it said: {self._on.said(self._group)}")
                await asyncio.sleep(LOOK_S)
        finally:
            await committed.close()

    def _lap(self, load: Load, rate: float, arrived: Arrived, rows: float, cpu: float) -> Lap:
        sent = Sent.load(self._file(rate))
        taken = latencies(sent, arrived, load.warm_s)
        late_ms = quantiles(sent.late_s[round(load.warm_s * rate) :])["p99.9"]
        return Lap(self._name, self._turn, rate, quantiles(taken), len(taken), rows, cpu, late_ms)

    def _results(self) -> str:
        return out_of(self._group) if isinstance(self._contender, Weft) else topics(self._group)[0]

    async def _transactions(self) -> float:
        """How many there were: a worker counts them, the loop writes one record and one marker to its audit in each."""
        if isinstance(self._contender, Weft):
            samples = parse(await asyncio.to_thread(_metrics, Slot(self._group, 0, 1, self._on.settings.data_folder).kept_port()))
            return sum(of(samples, Metric.BATCH_ROWS, 2).values())
        ends = await KafkaAdmin(self._on.kafka).ends([topics(self._group)[2]])
        return sum(one.high for one in ends.values()) / 2

    def _file(self, rate: float) -> Path:
        return self._on.folder / f"{self._group}-{rate:g}.npz"

    def _openloop(self, what: str, topic: str, *more: str) -> subprocess.Popen[bytes]:
        told = [what, "--bootstrap", self._on.bootstrap, "--topic", topic, *more]
        return self._on.start(f"{self._group}-{what}", [sys.executable, "-m", "ops.bench.openloop", *told])

    @contextlib.asynccontextmanager
    async def _running(self) -> AsyncIterator[psutil.Process]:
        process = self._contender.start(self._on, self._group)
        try:
            yield psutil.Process(process.pid)
        finally:
            process.kill()
            process.wait()

    @contextlib.asynccontextmanager
    async def _observed(self) -> AsyncIterator[Path]:
        """Where the results' times are, once it is over."""
        file = self._on.folder / f"{self._group}-arrived.npz"
        observer = self._openloop("observe", self._results(), "--out", str(file))
        try:
            yield file
            await asyncio.sleep(1.0)  # the last results are committed, and on their way
            observer.terminate()
            if await asyncio.to_thread(observer.wait, STALLED_S):
                raise FailedError(f"the observer failed; it said: {self._on.said(f'{self._group}-observe')}")
        finally:
            observer.kill()
            observer.wait()


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _metrics(port: int | None) -> str:
    """A worker's; nothing where it does not answer yet."""
    with contextlib.suppress(OSError), contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=STALLED_S)) as connection:
        connection.request("GET", "/metrics")
        return connection.getresponse().read().decode()
    return ""
