"""What only the in-memory log can do on demand: deaths, zombies, timeouts, faults, retention, compaction."""

import asyncio

import pytest

from connectors.log import Commit, Outgoing
from connectors.memory.broker import MemoryBroker
from connectors.memory.log import MemoryLog
from connectors.memory.murmur2 import partition_of
from connectors.memory.reader import MemoryReader
from schemas.errors import AbortError, FatalError, OwnershipError, UsageError
from schemas.positions import Source
from tests.contract.fabrics import Joined, outgoing

IN = Source("in", 0)


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    """Seconds."""
    return Clock()


@pytest.fixture
def broker(clock: Clock) -> MemoryBroker:
    """With a topic of two partitions."""
    made = MemoryBroker(clock)
    made.create("in", 2)
    return made


async def joined(broker: MemoryBroker, slot: str, count: int) -> tuple[Joined, MemoryLog]:
    """A member that owns `count` partitions."""
    log = MemoryLog(broker, "group", slot)
    member = await Joined.start_one(log, ["in"])
    await broker.group("group").settled()
    assert len(member.owned) == count
    return member, log


async def test_a_killed_member_leaves_its_transaction_open_until_its_slot_comes_back(broker: MemoryBroker) -> None:
    _, log = await joined(broker, "slot", 2)
    await log.begin()
    log.produce(outgoing("in", b"left"))
    log.kill()
    with pytest.raises(FatalError):
        await log.commit([])
    assert broker.partition(IN).stable == 0
    await joined(broker, "slot", 2)
    assert broker.partition(IN).stable == 2


async def test_a_transaction_that_takes_too_long_is_aborted_and_its_producer_fenced(broker: MemoryBroker, clock: Clock) -> None:
    _, log = await joined(broker, "slot", 2)
    await log.begin()
    log.produce(outgoing("in", b"slow"))
    clock.now_s += 11
    assert broker.partition(IN).stable == 2
    with pytest.raises(FatalError):
        await log.commit([])


async def test_a_killed_member_loses_its_partitions_after_the_session_timeout(broker: MemoryBroker, clock: Clock) -> None:
    _, dead = await joined(broker, "slot-0", 2)
    other, _ = await joined(broker, "slot-1", 1)
    dead.kill()
    clock.now_s += 11
    await other.until(lambda: len(other.owned) == 2, 5)


async def test_a_zombie_cannot_commit_and_learns_that_it_lost_all(broker: MemoryBroker) -> None:
    zombie, log = await joined(broker, "slot-0", 2)
    other, _ = await joined(broker, "slot-1", 1)
    await log.begin()
    broker.group("group").expire("slot-0")
    await broker.group("group").settled()
    assert len(other.owned) == 2
    with pytest.raises(OwnershipError):
        await log.commit([Commit(IN, 1, "")])
    await log.abort()
    await zombie.fetch(0)
    assert ("lost", (Source("in", 0),)) in zombie.told or ("lost", (Source("in", 1),)) in zombie.told
    await broker.group("group").settled()
    assert len(zombie.owned) == len(other.owned) == 1


async def test_committed_waits_for_the_open_transaction_that_holds_the_offset(broker: MemoryBroker) -> None:
    _, log = await joined(broker, "slot", 2)
    await log.begin()
    committing = asyncio.create_task(log.commit([Commit(IN, 5, "m")]))
    for _ in range(2):  # on its way to the broker, then with the offsets sent
        await asyncio.sleep(0)
    log.kill()
    with pytest.raises(FatalError):
        await committing
    other = MemoryLog(broker, "group", "other")
    waiting = asyncio.create_task(other.committed([IN]))
    await asyncio.sleep(0.12)
    assert not waiting.done()
    broker.init_producer("slot")
    assert await waiting == {IN: None}


@pytest.mark.parametrize("after", [False, True])
async def test_a_fault_can_come_before_or_after_the_work(broker: MemoryBroker, after: bool) -> None:
    _, log = await joined(broker, "slot", 2)
    log.fail_next("commit", FatalError("the answer was lost"), after)
    await log.begin()
    log.produce(outgoing("in", b"a"))
    with pytest.raises(FatalError):
        await log.commit([Commit(IN, 1, "")])
    assert ((await log.committed([IN]))[IN] is not None) == after


async def test_partitions_can_be_moved_by_hand(broker: MemoryBroker) -> None:
    first, _ = await joined(broker, "slot-0", 2)
    second, _ = await joined(broker, "slot-1", 1)
    broker.group("group").rebalance({"slot-0": [], "slot-1": [Source("in", 0), Source("in", 1)]})
    await broker.group("group").settled()
    assert (first.owned, len(second.owned)) == (set(), 2)


async def test_retention_moves_the_low_watermark_and_a_start_below_it_is_fatal(broker: MemoryBroker, clock: Clock) -> None:
    broker.append(outgoing("in", b"old", b"old"))
    clock.now_s += 100
    broker.append(outgoing("in", b"new"))
    broker.retain("in", 50)
    assert (await MemoryReader(broker).extent(IN)).low == 2
    member, _ = await joined(broker, "slot", 2)
    with pytest.raises(FatalError, match="outside"):
        await member.fetch(0)


async def test_compaction_keeps_the_newest_of_each_key(broker: MemoryBroker) -> None:
    broker.append(Outgoing("in", [b"a", b"b", b"a", b"b"], [b"1", b"2", b"3", None], None, 0))
    broker.partition(IN).compact()
    assert [(entry.offset, entry.value) for entry in broker.partition(IN).entries] == [(2, b"3"), (3, None)]
    broker.partition(IN).compact(drop_tombstones=True)
    assert [entry.offset for entry in broker.partition(IN).entries] == [2]
    assert (broker.partition(IN).low, broker.partition(IN).high) == (0, 4)


async def test_a_topic_made_again_has_another_id_and_no_offsets(broker: MemoryBroker) -> None:
    before = broker.topic("in").topic_id
    broker.delete("in")
    with pytest.raises(UsageError):
        broker.topic("in")
    broker.create("in", 1)
    assert broker.topic("in").topic_id != before


async def test_metadata_above_the_limit_is_refused(broker: MemoryBroker) -> None:
    _, log = await joined(broker, "slot", 2)
    await log.begin()
    with pytest.raises((AbortError, FatalError)):
        await log.commit([Commit(IN, 1, "x" * 5000)])


def test_keys_choose_their_partition_as_java_does() -> None:
    keys = [b"", b"a", b"ab", b"abc", b"\xff\xfe\xfd\xfc\xfb", *(b"flight-%d" % row for row in range(20))]
    expected = [1, 4, 2, 3, 7, 4, 0, 1, 3, 5, 1, 7, 2, 0, 5, 2, 5, 6, 3, 3, 6, 5, 7, 7, 1]  # of 8, from a real cluster
    assert [partition_of(key, 8) for key in keys] == expected
