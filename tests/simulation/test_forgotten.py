"""What is known of a redriven event is forgotten once no dead letter is left to redrive it from, and never before."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from connectors.log import Outgoing
from connectors.memory.broker import MemoryBroker
from connectors.memory.publisher import MemoryPublisher
from processors.flow.compiled import Limits
from schemas import pending
from schemas.positions import Position
from schemas.vocabulary import Verdict
from streams.clock import SystemClock
from tests.simulation.small import World, running, small_flow
from tests.unit.test_hostile_resume import REDRIVE

HOUR_S, DAY_S = 3_600.0, 86_400.0
FLOW = small_flow(lambda n, _: Verdict.DEAD_LETTER, limits=Limits(deadline_s=900.0, review_s=HOUR_S))


@dataclass
class Later(SystemClock):
    """A clock that can be put forward."""

    ahead_s: float = 0.0

    def now_ms(self) -> int:
        return super().now_ms() + int(self.ahead_s * 1000)


class Passing(World):
    """A world where time passes when it is told to."""

    def __init__(self) -> None:
        self.time = Later()
        super().__init__(MemoryBroker(lambda: self.time.now_ms() / 1000), clock=self.time)

    @asynccontextmanager
    async def working(self, batch_rows: int = 10_000, flight_batches: int = 4) -> AsyncIterator[None]:
        async with running(self.lane(FLOW, batch_rows=batch_rows, flight_batches=flight_batches)) as self.worker:
            yield

    async def redrive(self, *offsets: int) -> None:
        """Ask for the first generation of these, all at once, and wait until the lane has answered."""
        asked = [pending.encode(replace(REDRIVE, root=Position("in", 0, offset))) for offset in offsets]
        before = len(await self.resumed())
        await MemoryPublisher(self.broker).publish(Outgoing("f.resume", [b"k"] * len(asked), asked, partition=0))
        async with asyncio.timeout(8):
            while len(await self.resumed()) < before + len(offsets):
                await asyncio.sleep(0.01)

    async def generations(self) -> list[tuple[bytes | None, bytes | None]]:
        return [pair for part in await self.records("f.generations") for pair in zip(part.keys, part.values, strict=True)]

    async def resumed(self) -> list[tuple[int, str]]:
        return [(leaf.root.offset, leaf.verdict) for leaf in await self.leaves() if leaf.position.topic == "f.resume"]


async def ten_days_after_a_redrive() -> Passing:
    world = Passing()
    await world.send([20, 21, 22, 23, 24, 25])
    async with world.working():
        await world.redrive(0)
    world.time.ahead_s += 10 * DAY_S
    return world


async def test_a_generation_is_forgotten_in_the_transaction_of_a_later_redrive_once_the_letters_are_gone() -> None:
    world = await ten_days_after_a_redrive()
    world.broker.retain("f.dead", 7 * DAY_S)
    async with world.working():
        await world.redrive(1)
        assert await world.generations() == [(b"in/0/0", b"1"), (b"in/0/1", b"1")]
        world.time.ahead_s += HOUR_S
        await world.redrive(1)
        assert await world.generations() == [(b"in/0/0", b"1"), (b"in/0/1", b"1"), (b"in/0/0", None)]
    assert await world.resumed() == [(0, "dead-letter"), (1, "dead-letter"), (1, "superseded")]


async def test_letters_that_are_due_to_go_and_still_there_are_not_redriven_twice() -> None:
    world = await ten_days_after_a_redrive()
    async with world.working():
        for offset in (1, 1, 0):
            await world.redrive(offset)
            world.time.ahead_s += HOUR_S
    assert await world.resumed() == [(0, "dead-letter"), (1, "dead-letter"), (1, "superseded"), (0, "superseded")]
    assert set((await world.terminal()).values()) == {1}


async def test_nothing_is_forgotten_while_a_request_from_a_letter_that_is_gone_waits() -> None:
    world = await ten_days_after_a_redrive()
    world.broker.retain("f.dead", 7 * DAY_S)
    async with world.working(batch_rows=1, flight_batches=1):
        await world.redrive(1)
        world.time.ahead_s += HOUR_S
        await world.redrive(1, 0)
    assert await world.resumed() == [(0, "dead-letter"), (1, "dead-letter"), (1, "superseded"), (0, "superseded")]
    assert set((await world.terminal()).values()) == {1}
