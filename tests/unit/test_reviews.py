"""What the owner of a resume partition remembers about reviews: those that are open, and nothing of those that are closed."""

import time

from connectors.log import Outgoing
from connectors.memory.publisher import MemoryPublisher
from connectors.memory.reader import MemoryReader
from schemas import pending
from streams.reviews import Reviews
from tests.simulation.small import World
from tests.unit.test_hostile_resume import TRUE


async def opened(world: World) -> Reviews:
    """One review is open at partition 0."""
    await put(world, pending.encode(TRUE))
    reviews = Reviews(MemoryReader(world.broker), "f.reviews")
    await reviews.read_on(0)
    assert reviews.due(0, _now_ms()) == ["r"]
    reviews.closes(0, "r")
    return reviews


async def put(world: World, value: bytes | None) -> None:
    await MemoryPublisher(world.broker).publish(Outgoing("f.reviews", [b"r"], [value], [[]], partition=0))


async def test_between_the_commit_and_its_tombstone_a_review_is_closed() -> None:
    world = World()
    reviews = await opened(world)
    reviews.settled(0, "r")
    assert await reviews.find(0, "r") is None
    assert not reviews.due(0, _now_ms())
    await put(world, None)
    await reviews.read_on(0)
    assert remembered(reviews) == []


async def test_a_tombstone_that_is_read_before_its_batch_is_told_settled_leaves_nothing_behind() -> None:
    world = World()
    reviews = await opened(world)
    await put(world, None)
    await reviews.read_on(0)
    reviews.settled(0, "r")
    reviews.asked(0, "r")
    assert remembered(reviews) == []


def remembered(reviews: Reviews) -> list[str]:
    mine = reviews._partitions[0]
    return [*mine.open, *mine.closing, *mine.closed, *mine.asked]


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
