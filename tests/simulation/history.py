"""Runs one history: does what its schedule says, mends the world, waits until all has ended, and says which law was broken, if any."""

import asyncio
import hashlib
import random
from collections.abc import Mapping
from dataclasses import dataclass

from tests.simulation.audit import Auditor
from tests.simulation.events import Kind
from tests.simulation.fabric import Fabric, Line
from tests.simulation.laws import BrokenError, Law
from tests.simulation.loop import CircleError, SeededLoop
from tests.simulation.schedule import Schedule
from tests.simulation.world import World

PATIENCE_S = 240.0
"""Within this, once all is well, everything must have ended; and as much later as clocks were wrong."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a history came to."""

    schedule: Schedule
    broken: BrokenError | None
    story: list[Line]
    faults: Mapping[str, int]
    events: int
    commits: int
    steps: int
    virtual_s: float
    print: str  # a digest of everything that stands in the log

    def text(self) -> str:
        """The story, a line each."""
        return "\n".join(f"{at_s:9.3f}  {who:7} {what}" for at_s, who, what in self.story)


def tell(schedule: Schedule) -> Told:
    """Run it."""
    loop = SeededLoop(random.Random(f"loop {schedule.seed}"), schedule.lazy)
    fabric = Fabric(loop, random.Random(f"weather {schedule.seed}"), schedule.shape, dict(schedule.kinds))
    world = World(fabric, schedule)
    try:
        loop.run_until_complete(_history(world))
    except (RuntimeError, CircleError) as error:  # the loop was stopped by a breach, or nothing can happen any more
        fabric.breach(BrokenError(Law.PROGRESS, str(error)))
    except BrokenError as error:
        fabric.breach(error)
    loop.close()
    if fabric.fault is not None:
        raise fabric.fault
    return Told(
        schedule,
        fabric.broken,
        fabric.story,
        fabric.weather.counts,
        len(fabric.proof.lives.numbers),
        fabric.proof.commits,
        loop.steps,
        loop.time(),
        _print(fabric),
    )


async def _history(world: World) -> None:
    for slot in range(world.schedule.slots):
        world.start(slot)
    for act in world.schedule.acts:
        await asyncio.sleep(act.after_s)
        world.act(act)
    await asyncio.sleep(1.0)
    auditor = Auditor(world.fabric)
    if world.schedule.seed % 2:  # it takes its time: the other histories go on without a pause
        await auditor.at_work()
    world.mend()
    await _ended(world)
    world.close()
    await asyncio.sleep(8.0)
    _holds(world)
    await auditor.at_end()


async def _ended(world: World) -> None:
    """Wait until every record was consumed, and every event has ended."""
    fabric = world.fabric
    patience_s = PATIENCE_S + fabric.proof.lives.skew_ms / 1000
    until_s = fabric.loop.time() + patience_s
    while (left := _left(fabric)) is not None:
        if fabric.loop.time() > until_s:
            raise BrokenError(Law.PROGRESS, f"{patience_s:g} s after all was well, {left}")
        await asyncio.sleep(0.5)


def _left(fabric: Fabric) -> str | None:
    """What has not ended."""
    proof = fabric.proof
    for source, offsets in proof.records.items():
        grown = proof.grown.get(source)
        if grown is None or offsets[-1] >= grown.next:
            return f"{source} is decided up to {0 if grown is None else grown.next}, and has a record at {offsets[-1]}"
    for (root, generation), life in proof.lives.lives.items():
        if not life.verdict.terminal:
            return f"generation {generation} of {root} is {life.verdict}"
    return None


def _holds(world: World) -> None:
    """The laws that speak of the end."""
    proof = world.fabric.proof
    for source, grown in proof.grown.items():
        sizes = proof.signed[grown.tree.origin]
        if grown.tree.size and max(sizes, default=0) != grown.tree.size:
            raise BrokenError(Law.SIGNED, f"the tree of {source} has {grown.tree.size} leaves, signed are {max(sizes, default=0)}")
    if world.schedule.shape.dedupe:
        sent = {abs(number) for root, number in proof.lives.numbers.items() if world.schedule.kinds[abs(number)] is not Kind.WORDS}
        for number in sent:
            if (firsts := proof.lives.firsts[number]) != 1:
                raise BrokenError(Law.DEDUPE, f"of the events with the number {number} {firsts} were no duplicates")


def _print(fabric: Fabric) -> str:
    """A digest of every record and every committed offset."""
    whole = hashlib.sha256()
    for name, topic in sorted(fabric.broker.topics.items()):
        for part in topic.partitions:
            for entry in part.entries:
                whole.update(repr((name, part.source.partition, entry.offset, entry.timestamp_ms, entry.key, entry.value)).encode())
    for source, commit in sorted(fabric.broker.group("f").offsets.items()):
        whole.update(repr((source, commit)).encode())
    return whole.hexdigest()[:16]
