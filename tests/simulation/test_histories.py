"""Seeded histories: lanes that fail, die and share partitions between any two batches; every event still ends once."""

import asyncio
import random
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.memory.log import MemoryLog
from schemas.errors import AbortError, FatalError, LogError, OwnershipError
from schemas.vocabulary import Verdict
from streams.lane import Lane
from tests.simulation.small import World, small_flow


class Fleet:
    """Lanes by slot; a dead one is started again under its slot, as a supervisor does."""

    def __init__(self, world: World, order: str, chance: random.Random) -> None:
        self.world = world
        self.chance = chance
        self.flow = small_flow(lambda n, attempt: Verdict.RETRY if n % 11 == 5 and attempt < 1 else None, order=order)
        self.alive: dict[int, tuple[Lane, MemoryLog, asyncio.Task[None]]] = {}

    async def start(self, slot: int) -> None:
        if slot in self.alive and not self.alive[slot][2].done():
            return
        log = MemoryLog(self.world.broker, "f", f"f-{slot}", lambda: self.chance.choice(DELAYS_S))
        lane = self.world.lane(self.flow, log=log, batch_rows=7)
        self.alive[slot] = lane, log, asyncio.create_task(self._live(lane))

    @staticmethod
    async def _live(lane: Lane) -> None:
        await lane.start()
        await lane.run()

    async def kill(self, slot: int) -> None:
        if slot in self.alive:
            _, log, task = self.alive.pop(slot)
            with suppress(LogError):
                log.kill()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def fail(self, slot: int) -> None:
        if slot in self.alive:
            call, error, after = self.chance.choice(FAILURES)
            self.alive[slot][1].fail_next(call, error, after)

    async def settle(self, sent: int) -> None:
        """Start again what died, until every event has ended."""
        async with asyncio.timeout(20):
            while len(await self.world.terminal()) < sent:
                for slot in list(self.alive):
                    if self.alive[slot][2].done():
                        await self.kill(slot)
                        await self.start(slot)
                await asyncio.sleep(0.05)


DELAYS_S = (0.0, 0.0, 0.0, 0.002, 0.02)  # of a call of the log
FAILURES = (
    ("begin", AbortError("no"), False),
    ("produce", AbortError("no"), False),
    ("flush", AbortError("no"), True),
    ("commit", AbortError("no"), False),
    ("commit", OwnershipError("not yours"), False),
    ("commit", FatalError("unknown"), True),
    ("abort", FatalError("fenced"), True),
    ("rewind", FatalError("closed"), True),
    ("fetch", FatalError("closed"), True),
)
ACTS = ["send", "send", "send", "fail", "kill", "start", "rebalance", "wait"]


async def _act(act: str, fleet: Fleet, chance: random.Random) -> None:
    """Something that happens, or is done to the fleet; sending is not one of these."""
    match act:
        case "fail":
            fleet.fail(chance.randint(0, 1))
        case "kill":
            slot = chance.randint(0, 1)
            await fleet.kill(slot)
            await fleet.start(slot)
        case "start":
            await fleet.start(1)
        case "rebalance":
            fleet.world.broker.group("f").rebalance()
        case _:
            await asyncio.sleep(chance.random() * 0.05)


async def _history(seed: int, order: str) -> None:
    chance, world = random.Random(seed), World()
    fleet, sent = Fleet(world, order, chance), 0
    await fleet.start(0)
    for act in chance.choices(ACTS, k=chance.randint(4, 12)):
        if act == "send":
            count = chance.randint(1, 40)
            await world.send([*range(100 + sent, 100 + sent + count)])
            sent += count
        else:
            await _act(act, fleet, chance)
    await fleet.start(0)
    await fleet.settle(sent)
    await _holds(world, sent)
    for slot in list(fleet.alive):
        await fleet.kill(slot)


async def _holds(world: World, sent: int) -> None:
    terminal = await world.terminal()
    assert len(terminal) == sent
    assert set(terminal.values()) <= {1}
    assert len(await world.values("out")) == sent
    consumed = [(leaf.position, leaf.verdict) for leaf in await world.leaves()]
    assert len({position for position, _ in consumed}) == len(consumed)  # each consumed record has one leaf


@pytest.mark.parametrize("order", ["none", "key"])
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 1_000_000))
def test_whatever_fails_every_event_ends_once(order: str, seed: int) -> None:
    asyncio.run(_history(seed, order))
