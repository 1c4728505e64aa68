"""The ports of a simulated worker: twins that delay, fail, lie, and die or stand still with their process."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from connectors.log import Ends, Extent, Outgoing, Records
from connectors.memory.log import MemoryLog
from connectors.memory.lookup import MemoryLookup
from connectors.memory.publisher import MemoryPublisher
from connectors.memory.reader import MemoryReader
from processors.ports import Answer
from schemas.errors import FailedError, FatalError, UnreachableError
from schemas.positions import Position, Source
from tests.simulation.loop import Process

EPOCH_S = 1_700_000_000.0
DELAYS_S = (0.0, 0.0, 0.0, 0.001, 0.004, 0.02)
FOREVER_S = 1e9


@dataclass(slots=True)
class Weather:
    """How the world is now. `trouble` is the share of calls of lookups and models that go wrong."""

    chance: random.Random
    trouble: float = 0.0
    slow: float = 1.0  # times the usual delay
    redis_down: bool = False
    models_down: bool = False
    publishers_down: bool = False
    counts: dict[str, int] = field(default_factory=dict)  # faults by kind

    def count(self, kind: str) -> None:
        """A fault happened."""
        self.counts[kind] = self.counts.get(kind, 0) + 1

    def strikes(self, kind: str) -> bool:
        """Whether a fault of this kind happens now."""
        if self.trouble and self.chance.random() < self.trouble:
            self.count(kind)
            return True
        return False

    def delay_s(self) -> float:
        """Of a call."""
        return self.chance.choice(DELAYS_S) * self.slow

    async def passes(self) -> None:
        """A call is on its way."""
        await asyncio.sleep(self.delay_s())


class SimClock:
    """The wall clock of a worker: the loop's time, and how wrong it is."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.skew_s = 0.0

    def now_s(self) -> float:
        """Seconds since 1970."""
        return EPOCH_S + self._loop.time() + self.skew_s

    def now_ms(self) -> int:
        """See Clock."""
        return int(self.now_s() * 1000)

    async def sleep(self, seconds: float) -> None:
        """See Clock."""
        await asyncio.sleep(seconds)


@dataclass(slots=True)
class Trap:
    """What happens to a process at the n-th call of a name from now on, `before` or `after` it has done its work."""

    call: str
    late: bool
    countdown: int
    springs: Callable[[], None]


class SimLog(MemoryLog):
    """A log whose calls take time, and at whose calls a process may be killed or stopped."""

    traps: list[Trap]
    sent: Callable[[Collection[Source]], None]  # hears of offsets that the broker has taken into a transaction

    def _check(self, call: str, after: bool = False) -> None:
        if (call, after) == ("end", False):
            self.sent(self._producer().offsets.get("f", {}).keys())
        for trap in [trap for trap in self.traps if (trap.call, trap.late) == (call, after)]:
            trap.countdown -= 1
            if trap.countdown <= 0:
                self.traps.remove(trap)
                trap.springs()
        super()._check(call, after)


class SimReader(MemoryReader):
    """A reader whose calls take time."""

    weather: Weather

    async def extent(self, source: Source) -> Extent:
        """See Reader."""
        await self.weather.passes()
        return await super().extent(source)

    async def ends(self, topic: str) -> Mapping[Source, Ends]:
        """See Reader."""
        await self.weather.passes()
        return await super().ends(topic)

    async def read(self, source: Source, start: int = 0) -> AsyncIterator[Records]:
        """See Reader."""
        await self.weather.passes()
        async for records in super().read(source, start):
            yield records
            await self.weather.passes()

    async def at(self, position: Position) -> Records | None:
        """See Reader."""
        await self.weather.passes()
        return await super().at(position)


class SimPublisher(MemoryPublisher):
    """A publisher whose records may land though nobody hears of it."""

    weather: Weather
    process: Process

    async def publish(self, outgoing: Outgoing) -> Sequence[Position]:
        """See Publisher."""
        await self.weather.passes()
        if self.process.dead:
            raise FatalError("the process was killed")
        if self.weather.publishers_down:
            raise UnreachableError("the broker can't be reached")
        positions = await super().publish(outgoing)
        await self.weather.passes()
        if self.weather.strikes("a publish of unknown result"):
            raise UnreachableError("the broker did not say whether it has the records")
        return positions


class SimLookup(MemoryLookup):
    """A store whose answers come late, not at all, or after the claim was made."""

    weather: Weather

    async def mget(self, keys: Sequence[str]) -> Sequence[bytes | None]:
        """See Lookup."""
        await self._way("a lookup that fails")
        found = await super().mget(keys)
        if self.weather.strikes("a lookup that lies"):
            found = [self.weather.chance.choice((None, b"{", b"[]", b'{"size": "large"}')) for _ in keys]
        await self._way("a lookup whose answer is lost")
        return found

    async def claim(self, keys: Sequence[str], owners: Sequence[str], ttl_s: int) -> Sequence[str]:
        """See Lookup."""
        await self._way("a claim that fails")
        found = await super().claim(keys, owners, ttl_s)
        await self._way("a claim whose answer is lost")
        return found

    async def _way(self, kind: str) -> None:
        await self.weather.passes()
        if self.weather.redis_down or self.weather.strikes(kind):
            raise UnreachableError("the store can't be reached")


class SimModels:
    """A model that halves a number, when it is well."""

    def __init__(self, weather: Weather) -> None:
        self._weather = weather

    async def infer(self, model: str, route: str, columns: pa.RecordBatch, keys: Sequence[bytes | None], timeout_s: float) -> Answer:
        """See Models."""
        del route, keys
        await self._weather.passes()
        if self._weather.models_down or self._weather.strikes("a model that can't be reached"):
            raise UnreachableError("the model can't be reached")
        if self._weather.strikes("a model that is late"):
            await asyncio.sleep(timeout_s)
            raise FailedError(f"it took longer than {timeout_s:g} s")
        scores = [n / 2 for n in columns.column("n").to_pylist()]
        answer = pa.RecordBatch.from_pydict({"score": pa.array(scores, pa.float64())})
        if self._weather.strikes("a model that lies"):
            answer = self._lie(answer)
        await self._weather.passes()
        return Answer(answer, f"{model}@1")

    def _lie(self, answer: pa.RecordBatch) -> pa.RecordBatch:
        """Wrong, in a way that can be seen."""
        rows = answer.num_rows
        chance = self._weather.chance
        lies: Mapping[str, Callable[[], pa.RecordBatch]] = {
            "half": lambda: answer.slice(0, rows // 2),
            "more": lambda: pa.concat_batches([answer, answer]),
            "another name": lambda: answer.rename_columns(["sc0re"]),
            "words": lambda: pa.RecordBatch.from_pydict({"score": ["many"] * rows}),
            "no number": lambda: pa.RecordBatch.from_pydict(
                {"score": pa.array([chance.choice((float("nan"), None, one)) for one in answer.column(0).to_pylist()], pa.float64())}
            ),
        }
        return lies[chance.choice(sorted(lies))]()
