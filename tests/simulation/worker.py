"""A simulated worker process: a lane and its signer in one slot, as `streams/host.py` runs them. What it can't handle ends it."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass, replace

from schemas.errors import FatalError
from schemas.positions import Source
from streams.lane import Lane
from streams.ledger.signer import Signer
from streams.parts import Bounds, LaneParts
from streams.watch import NoWatch, Settled
from streams.work import Work
from tests.simulation.events import TOPICS, Shape, flow_of
from tests.simulation.fabric import Fabric
from tests.simulation.laws import BrokenError, Law
from tests.simulation.loop import PROCESS, Process
from tests.simulation.ports import SimClock, SimLog, SimPublisher, SimReader

BOUNDS = Bounds(
    batch_bytes=800, flight_bytes=1_600, flight_batches=3, poll_s=1.5, room_s=0.3, revoke_s=2.0, stalled_s=12.0, drain_s=4.0,
    hanging_s=20.0, expiry_s=2.0,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Make:
    """How a worker is built."""

    slot: str
    shape: Shape
    upgraded: bool
    batch_rows: int
    skew_s: float  # of its clock


class Worker(NoWatch):
    """One process. `harmed` is set once something was done to it that may end it."""

    def __init__(self, fabric: Fabric, make: Make, ended: Callable[["Worker", Exception | None], None]) -> None:
        self.fabric, self.make, self._ended = fabric, make, ended
        self.process = Process(make.slot)
        self.harmed = self.over = False
        self.owned: set[Source] = set()
        self.passed: Counter[tuple[str, Source]] = Counter()  # committed rows that went through all steps since it holds their partition
        self.marked = 0  # rows that wait in place, by the offsets of its last transaction
        self.clock = SimClock(fabric.loop)
        self.clock.skew_s = make.skew_s
        self._loops: list[asyncio.Task[None]] = []
        self._context = copy_context()
        self._context.run(PROCESS.set, self.process)
        self.log = SimLog(fabric.broker, "f", make.slot, fabric.weather.delay_s)
        self.log.traps, self.log.sent = [], self._sent
        self.lane, self._signer = self._built()
        self._beginning = self._runs(self._begin)

    def _built(self) -> tuple[Lane, Signer]:
        fabric, make = self.fabric, self.make
        reader, publisher = SimReader(fabric.broker), SimPublisher(fabric.broker)
        reader.weather = publisher.weather = fabric.weather
        publisher.process = self.process
        flows = flow_of(make.shape, fabric.kinds, fabric.lookup, fabric.models, fabric.loop.time)
        signer = Signer(publisher, TOPICS.checkpoints, fabric.key, self.clock)
        bounds = replace(BOUNDS, batch_rows=make.batch_rows)
        applied = flows if make.upgraded else flows[1:]
        return Lane(LaneParts(self.log, reader, publisher, applied, "weft", self.clock, signer, self, bounds, chance=fabric.salt)), signer

    def _runs(self, loop: Callable[[], Awaitable[None]]) -> asyncio.Task[None]:
        """A loop of this process: when it fails, the process ends."""

        async def guarded() -> None:
            try:
                await loop()
            except Exception as error:  # see `die` in streams/host.py
                if not self.over:  # else it was killed, and this is its last breath
                    self.kill()
                    self._ended(self, error)

        return self.fabric.loop.create_task(guarded(), context=self._context)

    async def _begin(self) -> None:
        works = asyncio.Queue[Work]()

        async def agent() -> None:
            while True:
                await self.lane.process(await works.get())

        await self.lane.start()
        self._loops = [self._runs(loop) for loop in (self.lane.settling, self.lane.expiring, self._signer.run, agent)]
        await self.lane.fetching(works.put)

    def kill(self) -> None:
        """SIGKILL."""
        self.over = True
        with suppress(FatalError):  # it had not joined yet
            self.log.kill()
        self.fabric.loop.kill_process(self.process)

    def leave(self) -> None:
        """SIGTERM."""
        self.harmed = True
        self.lane.stop()
        self._runs(self._leave)

    async def _leave(self) -> None:
        await self._beginning
        await self.lane.drain()
        await self.lane.close()
        self.over = True
        for loop in self._loops:
            loop.cancel()
        self._ended(self, None)

    def _sent(self, sources: Collection[Source]) -> None:
        """The broker has taken these offsets into a transaction: it looks at member and generation, and never at whose they are."""
        member = self.log._member
        held = self.fabric.broker.group("f").assignment.get(member.slot, ()) if member is not None else ()
        if strange := sorted(set(sources) - set(held)):
            self.fabric.breach(
                BrokenError(Law.OWNER, f"{self.make.slot} sends offsets of {', '.join(map(str, strange))}, which it does not hold")
            )

    # What the lane tells

    def settled(self, batch: Settled) -> None:
        """A transaction has committed and was adopted: the state of the last step counts what the ledger has, and what waits is marked."""
        if batch.in_place != self.marked:
            what = f"{self.make.slot} lets {batch.in_place} rows wait in place, and {self.marked} are marked"
            self.fabric.breach(BrokenError(Law.IN_PLACE, what))
        for (ident, index), state in self.lane._ownership.memory._adopted.items():
            for source, rows in state.items():
                if source in self.owned and rows != self.passed[ident, source]:
                    what = (
                        f"{self.make.slot} counted {rows} rows of {source} at step {index}, and {self.passed[ident, source]} have committed"
                    )
                    self.fabric.breach(BrokenError(Law.STATE, what))

    def failed(self, what: str) -> None:
        """Something did not work."""
        self.fabric.tell(self.make.slot, what)

    def owns(self, sources: Sequence[Source]) -> None:
        """It has been given partitions, or lost some."""
        self.owned = set(sources)
        self.passed = Counter({key: rows for key, rows in self.passed.items() if key[1] in self.owned})
        self.fabric.tell(self.make.slot, f"holds {', '.join(map(str, sources)) or 'nothing'}")
