"""One run under fire: the stack, the lines, the schedule, the end, and the judgement."""

import asyncio
import contextlib
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from connectors.redis.lookup import RedisLookup
from ops.examples import flights
from tests.chaos import checker, story
from tests.chaos.faults import Kind
from tests.chaos.line import BY_KEY, IN_PROCESS, Line
from tests.chaos.namespace import inside
from tests.chaos.schedule import Schedule, deck
from tests.chaos.traffic import Departures
from tests.chaos.world import Blow, Disk, World
from tests.models import trained
from tests.serving import Served, running_serve
from tests.stack import TestStack, proxy_apart, running_stack

RATE = 8.0  # events a second that come all the time
DESK_S = 20.0  # between two looks of a person at what waits
BY_KEY_SHARE = 0.15  # of the events go through the line in the order of keys


@dataclass(frozen=True, slots=True)
class Asked:
    """What a run is."""

    events: int
    faults: int
    seed: int
    minutes: float
    serve: bool  # else without a model server, and one line only
    shares: Mapping[str, int]  # of the faults, by kind
    overlap: float = 0.2  # so often a fault does not wait until the one before is over


@dataclass(slots=True)
class Outcome:
    """What became of it."""

    blows: Sequence[tuple[Kind, Blow]] = ()
    found: dict[str, checker.Found] = field(default_factory=dict)
    verified: dict[str, bool] = field(default_factory=dict)  # by `weft audit verify`
    said: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        return bool(self.found) and all(found.holds for found in self.found.values()) and all(self.verified.values())


def fire(asked: Asked, folder: Path, say: Callable[[str], None]) -> Outcome:
    """The whole of it."""
    with contextlib.ExitStack() as stack:
        world = stack.enter_context(_world(asked, folder))
        outcome, began_s = Outcome(), time.monotonic()
        chance = random.Random(asked.seed)
        _begin(world, asked)
        say(f"seed {asked.seed}: {', '.join(line.name for line in world.lines)} are at work after {time.monotonic() - began_s:.0f} s")
        began_s = time.monotonic()
        schedule = Schedule(world, asked.seed, asked.overlap, lambda blow, kind: say(story.moment(blow, kind, began_s)))
        with _desk(world.lines, chance):
            schedule.run(deck(world, asked.faults, chance, asked.shares), began_s + asked.minutes * 60)
            outcome.blows = schedule.blows
        outcome.said += [*schedule.missed, *world.mended]
        say(f"{time.monotonic() - began_s:7.1f} s  the last fault is over")
        _end(asked, world, outcome)
        say(f"{time.monotonic() - began_s:7.1f} s  everything is done")
        _judge(world, outcome)
        outcome.said += [end for line in world.lines for end in line.ends]
        return outcome


@contextlib.contextmanager
def _world(asked: Asked, folder: Path) -> Iterator[World]:
    disks = inside()
    with contextlib.ExitStack() as stack:
        running = stack.enter_context(running_stack("kafka", "redis", elsewhere={"kafka": disks / "broker"} if disks else {}))
        served = stack.enter_context(running_serve()) if asked.serve else None
        trained()
        asyncio.run(_load(running.redis_url))
        proxy = stack.enter_context(proxy_apart(running.second_bootstrap, running.second))
        lines = _lines(running, served, disks / "workers" if disks else folder)
        for line in lines:
            stack.callback(line.kill)
        broker_disk, worker_disk = (Disk(disks / name) if disks else None for name in ("broker", "workers"))
        yield World(running, lines, proxy, served, broker_disk, worker_disk)


def _lines(stack: TestStack, served: Served | None, folder: Path) -> list[Line]:
    """The shipped flow behind the proxy; with a model server also one in the order of keys, which asks it again and waits."""
    mark = uuid4().hex[:6]
    if served is None:
        return [Line(stack, folder / "delays", f"delays-{mark}", "in-process", IN_PROCESS, stack.second_bootstrap)]
    return [
        Line(stack, folder / "delays", f"delays-{mark}", served.grpc, {}, stack.second_bootstrap),
        Line(stack, folder / "by-key", f"by-key-{mark}", served.grpc, BY_KEY),
    ]


def _begin(world: World, asked: Asked) -> None:
    rows = flights.departures()
    for line in world.lines:
        events, first = _events(asked, line), 0 if not line.by_key else len(rows) // 2
        unit = max(50, int(events / asked.faults / 2))
        line.begin(Departures(line.stack.bootstrap, line.input, rows.slice(first), RATE, unit), 2 if line.by_key or not asked.serve else 1)


def _events(asked: Asked, line: Line) -> int:
    """How many must go through a line, at least."""
    return int(asked.events * (BY_KEY_SHARE if line.by_key else 1 - BY_KEY_SHARE if asked.serve else 1.0))


@contextlib.contextmanager
def _desk(lines: Sequence[Line], chance: random.Random) -> Iterator[None]:
    """A person at work on what waits in the second line, while all goes on."""
    ended = threading.Event()

    def work() -> None:
        while not ended.wait(DESK_S):
            lines[-1].decide(chance)

    thread = threading.Thread(target=work, daemon=True)
    if len(lines) > 1:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        if len(lines) > 1:
            thread.join(180)


def _end(asked: Asked, world: World, outcome: Outcome) -> None:
    """The rest of the events, and the end of the workers in order."""
    world.mend()
    for line in world.lines:
        line.departures.finish(_events(asked, line), 300)
    for line in world.lines:
        line.done(300)
    for line in world.lines:
        if code := line.stop():
            outcome.said.append(f"{line.name}: the last supervisor ended with {code}")
        line.outcomes.end()


def _judge(world: World, outcome: Outcome) -> None:
    for line in world.lines:
        outcome.found[line.name] = checker.check(line.flow())
        outcome.verified[line.name] = line.command("audit", "verify", line.name) is not None
        for pid in sorted(line.clocks.iterdir()):
            pid.unlink()


async def _load(url: str) -> None:
    lookup = RedisLookup(url)
    await lookup.load(flights.lookups())
    await lookup.close()
