"""What any log must do: the in-memory twin and a real Kafka alike."""

import asyncio
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from uuid import uuid4

import pytest

from connectors.log import Commit, Log, Outgoing
from schemas.errors import AbortError, FatalError
from schemas.positions import Source
from tests.contract.fabrics import Fabric, Joined, KafkaFabric, MemoryFabric, outgoing


@pytest.fixture(params=["memory", "kafka"])
async def fabric(request: pytest.FixtureRequest) -> AsyncIterator[Fabric]:
    """Both sides."""
    made: MemoryFabric | KafkaFabric = (
        MemoryFabric() if request.param == "memory" else KafkaFabric(request.getfixturevalue("stack").bootstrap)
    )
    yield made
    await made.close()


def name(kind: str) -> str:
    """A name not used before."""
    return f"{kind}-{uuid4().hex[:8]}"


async def transact(log: Log, *records: Outgoing, commits: tuple[Commit, ...] = ()) -> list[int]:
    """One whole transaction; the tracked offsets."""
    await log.begin()
    for record in records:
        log.produce(record)
    tracked = await log.flush()
    await log.commit(commits)
    return list(tracked)


async def alone(fabric: Fabric, topic: str, start: int = 0) -> Joined:
    """The only member of a new group, with its partitions."""
    member = await Joined.start_one(fabric.log(name("group"), name("slot")), [topic], start)
    await member.until(lambda: bool(member.owned))
    return member


async def test_a_committed_transaction_is_read_and_an_aborted_one_is_not(fabric: Fabric) -> None:
    topic = await fabric.topic()
    member = await alone(fabric, topic)
    await member.log.begin()
    member.log.produce(outgoing(topic, b"aborted"))
    await member.log.flush()
    await member.log.abort()
    await transact(member.log, outgoing(topic, b"committed"))
    assert await member.values(1) == [b"committed"]
    await member.end({Source(topic, 0)})


async def test_an_open_transaction_holds_back_what_comes_after_it(fabric: Fabric) -> None:
    topic = await fabric.topic()
    member = await alone(fabric, topic)
    await member.log.begin()
    member.log.produce(outgoing(topic, b"open"))
    await member.log.flush()
    await fabric.publisher().publish(outgoing(topic, b"behind"))
    assert not (await member.fetch(0.5)).records
    await member.log.commit([])
    assert await member.values(2) == [b"open", b"behind"]


async def test_markers_take_offsets_and_tracked_records_say_where_they_landed(fabric: Fabric) -> None:
    topic = await fabric.topic()
    member = await alone(fabric, topic)
    assert await transact(member.log, outgoing(topic, b"a", b"b", tracked=True), outgoing(topic, b"c")) == [0, 1]
    assert await transact(member.log, outgoing(topic, b"d"), outgoing(topic, b"e", tracked=True)) == [5]
    assert (await fabric.reader().extent(Source(topic, 0))).high == 7


async def test_an_offset_and_its_metadata_come_back_once_committed(fabric: Fabric) -> None:
    topic = await fabric.topic(2)
    member = await alone(fabric, topic)
    one, two = Source(topic, 0), Source(topic, 1)
    metadata = "x" * 1700
    await transact(member.log, commits=(Commit(one, 0, metadata),))
    assert await member.log.committed([one, two]) == {one: Commit(one, 0, metadata), two: None}
    await member.log.begin()
    member.log.produce(outgoing(topic, b"a"))
    await member.log.abort()
    assert await member.log.committed([one]) == {one: Commit(one, 0, metadata)}
    await transact(member.log, commits=(Commit(one, 0, "again"),))
    assert await member.log.committed([one]) == {one: Commit(one, 0, "again")}


async def test_a_second_holder_of_a_slot_fences_the_first_and_ends_its_transaction(fabric: Fabric) -> None:
    topic, group, slot = await fabric.topic(2), name("group"), name("slot")
    first = await Joined.start_one(fabric.log(group, slot), [topic])
    await first.until(lambda: len(first.owned) == 2)
    await first.log.begin()
    first.log.produce(outgoing(topic, b"left open"))
    await first.log.flush()
    second = await Joined.start_one(fabric.log(group, slot), [topic])
    await second.until(lambda: len(second.owned) == 2)
    await transact(second.log, outgoing(topic, b"after"))
    assert await second.values(1) == [b"after"]
    with pytest.raises(FatalError):
        await first.log.commit([Commit(Source(topic, 0), 1, "")])
    with pytest.raises(FatalError):
        await first.until(lambda: False)


async def test_a_rebalance_revokes_only_what_moves(fabric: Fabric) -> None:
    topic, group = await fabric.topic(4), name("group")
    first = await Joined.start_one(fabric.log(group, name("slot")), [topic])
    await first.until(lambda: len(first.owned) == 4)
    second = await Joined.start_one(fabric.log(group, name("slot")), [topic])

    async def both() -> None:
        while len(second.owned) < 2 or len(first.owned) > 2:
            await asyncio.gather(first.fetch(0.05), second.fetch(0.05))

    await asyncio.wait_for(both(), 30)
    revoked = [sources for kind, sources in first.told if kind == "revoked"]
    assert len(revoked) == 1 and len(revoked[0]) == 2
    assert first.owned | second.owned == {Source(topic, number) for number in range(4)}
    for number in range(4):
        await fabric.publisher().publish(outgoing(topic, b"%d" % number, partition=number))
    for member in (first, second):
        assert set(await member.values(2)) == {b"%d" % source.partition for source in member.owned}
    await transact(first.log, commits=tuple(Commit(source, 1, "") for source in first.owned))


async def test_an_owner_may_commit_until_it_has_let_go(fabric: Fabric) -> None:
    topic, group = await fabric.topic(2), name("group")
    first = await Joined.start_one(fabric.log(group, name("slot")), [topic])
    await first.until(lambda: len(first.owned) == 2)

    async def last_commit(sources: Sequence[Source]) -> None:
        await transact(first.log, commits=tuple(Commit(source, 0, "last words") for source in sources))

    first.parting = last_commit
    second = await Joined.start_one(fabric.log(group, name("slot")), [topic])

    async def both() -> None:
        while not second.owned:
            await asyncio.gather(first.fetch(0.05), second.fetch(0.05))

    await asyncio.wait_for(both(), 30)
    (moved,) = second.owned
    assert await second.log.committed([moved]) == {moved: Commit(moved, 0, "last words")}


async def test_a_source_starts_where_the_owner_says(fabric: Fabric) -> None:
    topic = await fabric.topic()
    await fabric.publisher().publish(outgoing(topic, b"0", b"1", b"2"))
    member = await alone(fabric, topic, start=1)
    assert await member.values(2) == [b"1", b"2"]


async def test_a_start_beyond_the_end_is_fatal(fabric: Fabric) -> None:
    topic = await fabric.topic()
    member = await Joined.start_one(fabric.log(name("group"), name("slot")), [topic], start=1000)
    with pytest.raises(FatalError):
        await member.until(lambda: False)


async def test_a_rewind_brings_the_records_again_and_drops_what_was_fetched(fabric: Fabric) -> None:
    topic = await fabric.topic(2)
    member = await alone(fabric, topic)
    await fabric.publisher().publish(outgoing(topic, *(b"%d" % row for row in range(100))))
    await fabric.publisher().publish(outgoing(topic, *(b"%d" % row for row in range(100)), partition=1))
    seen: list[tuple[int, int]] = []
    while len(seen) < 100:
        for records in (await member.fetch(max_rows=30)).records:
            seen += [(records.source.partition, int(offset)) for offset in records.offsets]
    at = {number: max((offset for part, offset in seen if part == number), default=-1) + 1 for number in (0, 1)}
    await member.log.rewind({Source(topic, 0): 10})
    again: list[tuple[int, int]] = []
    while len(again) < 90 + 100 - at[1]:
        for records in (await member.fetch(max_rows=30)).records:
            again += [(records.source.partition, int(offset)) for offset in records.offsets]
    assert [offset for part, offset in again if part == 0] == list(range(10, 100))
    assert [offset for part, offset in again if part == 1] == list(range(at[1], 100))


async def test_many_rewinds_while_fetching_lose_and_repeat_nothing(fabric: Fabric) -> None:
    topic = await fabric.topic()
    member = await alone(fabric, topic)
    await fabric.publisher().publish(outgoing(topic, *(b"%d" % row for row in range(500))))
    at = 0
    for turn in range(30):
        fetching = asyncio.create_task(member.fetch(max_rows=40))
        await asyncio.sleep(0.001 * (turn % 4))
        await member.log.rewind({Source(topic, 0): at})
        await fetching
        await member.log.rewind({Source(topic, 0): at})
        while not (fetched := await member.fetch(max_rows=10)).records:
            pass
        assert fetched.records[0].offsets[0] == at
        at += len(fetched.records[0])


async def test_a_cancelled_fetch_loses_nothing(fabric: Fabric) -> None:
    topic = await fabric.topic()
    member = await alone(fabric, topic)
    await fabric.publisher().publish(outgoing(topic, *(b"%d" % row for row in range(200))))
    found: list[bytes | None] = []
    for turn in range(1000):
        if len(found) == 200:
            break
        try:
            fetched = await asyncio.wait_for(member.fetch(max_rows=7), 0.0005 * (turn % 5))
        except TimeoutError:
            continue
        found += [value for records in fetched.records for value in records.values]
    assert found == [b"%d" % row for row in range(200)]


async def test_a_paused_source_brings_nothing_until_it_is_resumed(fabric: Fabric) -> None:
    topic = await fabric.topic(2)
    member = await alone(fabric, topic)
    one, two = Source(topic, 0), Source(topic, 1)
    await member.end({one, two})
    await member.log.pause([one])
    await fabric.publisher().publish(outgoing(topic, b"a", b"b"))
    await fabric.publisher().publish(outgoing(topic, b"c", partition=1))
    assert await member.values(1) == [b"c"]
    assert not (await member.fetch(0.3)).records
    await member.log.resume([one])
    assert await member.values(2) == [b"a", b"b"]


async def test_a_source_rewound_while_paused_resumes_from_there(fabric: Fabric) -> None:
    topic = await fabric.topic()
    member = await alone(fabric, topic)
    await fabric.publisher().publish(outgoing(topic, b"a", b"b", b"c"))
    assert await member.values(3) == [b"a", b"b", b"c"]
    await member.log.pause([Source(topic, 0)])
    await member.fetch(0.1)
    await member.log.rewind({Source(topic, 0): 1})
    assert not (await member.fetch(0.3)).records
    await member.log.resume([Source(topic, 0)])
    assert await member.values(2) == [b"b", b"c"]


async def test_pausing_keeps_what_was_fetched_ahead(fabric: Fabric) -> None:
    topic = await fabric.topic()
    member = await alone(fabric, topic)
    await fabric.publisher().publish(outgoing(topic, *(b"%d" % row for row in range(50))))
    found = [value for records in (await member.fetch(5.0, max_rows=5)).records for value in records.values]
    await asyncio.sleep(0.2)
    await member.log.pause([Source(topic, 0)])
    assert not (await member.fetch(0.2)).records
    await member.log.resume([Source(topic, 0)])
    assert found + await member.values(50 - len(found)) == [b"%d" % row for row in range(50)]


async def test_the_end_of_a_source_is_told_also_past_markers(fabric: Fabric) -> None:
    topic = await fabric.topic()
    member = await alone(fabric, topic)
    await member.end({Source(topic, 0)})
    await transact(member.log, outgoing(topic, b"a"))
    assert await member.values(1) == [b"a"]
    await member.end({Source(topic, 0)})
    await transact(member.log, outgoing(topic, b"b"))
    assert await member.values(1) == [b"b"]
    await member.end({Source(topic, 0)})
    await member.log.rewind({Source(topic, 0): 0})
    assert await member.values(2) == [b"a", b"b"]
    await member.end({Source(topic, 0)})


async def test_fetch_keeps_to_its_bounds(fabric: Fabric) -> None:
    topic = await fabric.topic()
    member = await alone(fabric, topic)
    await fabric.publisher().publish(outgoing(topic, *(b"x" * 1000 for _ in range(100))))
    sizes: list[int] = []
    while sum(sizes) < 100:
        fetched = await member.fetch(1.0, max_rows=10, max_bytes=4500)
        sizes += [len(records) for records in fetched.records]
    assert max(sizes) == 5
    assert not (await member.fetch(0.05)).records


@pytest.mark.parametrize("size", [300_000, 3_000_000])
async def test_a_record_too_large_aborts_and_nothing_of_its_transaction_is_seen(fabric: Fabric, size: int) -> None:
    topic = await fabric.topic(max_message_bytes=100_000)
    member = await alone(fabric, topic)
    await member.log.begin()
    member.log.produce(outgoing(topic, b"before"))
    with pytest.raises(AbortError):
        member.log.produce(outgoing(topic, random_bytes(size)))
        await member.log.flush()
        await member.log.commit([Commit(Source(topic, 0), 0, "")])
    with pytest.raises(AbortError):
        await member.log.commit([Commit(Source(topic, 0), 0, "")])
    await member.log.abort()
    try:
        await transact(member.log, outgoing(topic, b"after"))
    except AbortError:  # the broker refused a batch: the client's sequence has a hole, that only a second abort mends
        await member.log.abort()
        await transact(member.log, outgoing(topic, b"after"))
    assert await member.values(1) == [b"after"]
    assert (await member.log.committed([Source(topic, 0)]))[Source(topic, 0)] is None


def random_bytes(size: int) -> bytes:
    """Bytes that don't compress."""
    return random.Random(0).randbytes(size)


async def test_headers_are_read_where_asked_for_and_keys_choose_as_java_does(fabric: Fabric) -> None:
    topic = await fabric.topic(8)
    member = await alone(fabric, topic)
    keys = [b"flight-%d" % row for row in range(20)]
    await transact(member.log, Outgoing(topic, keys, list(keys), [[("ce_id", key), ("none", None)] for key in keys]))
    found: dict[bytes | None, int] = {}
    while len(found) < 20:
        for records in (await member.fetch()).records:
            assert records.headers is not None
            for key, headers in zip(records.keys, records.headers, strict=True):
                assert list(headers) == [("ce_id", key), ("none", None)]
                found[key] = records.source.partition
    assert [found[key] for key in keys] == [
        4,
        0,
        1,
        3,
        5,
        1,
        7,
        2,
        0,
        5,
        2,
        5,
        6,
        3,
        3,
        6,
        5,
        7,
        7,
        1,
    ]  # as librdkafka's murmur2 gives them
    await member.log.rewind({source: 0 for source in member.owned})
    while not (fetched := await member.log.fetch(100, 100_000, 0.5)).records:
        pass
    assert all(records.headers is None for records in fetched.records)


async def test_an_owner_that_fails_ends_the_member(fabric: Fabric) -> None:
    topic = await fabric.topic()

    class Broken(Joined):
        async def assigned(self, sources: Sequence[Source]) -> Mapping[Source, int]:
            raise FatalError("the tree has forked")

    member = await Broken.start_one(fabric.log(name("group"), name("slot")), [topic])
    with pytest.raises(FatalError, match="forked"):
        await member.until(lambda: False)


async def test_a_restarted_slot_has_its_partitions_back_without_a_rebalance_of_others(fabric: Fabric) -> None:
    topic, group, slot = await fabric.topic(2), name("group"), name("slot")
    first = await Joined.start_one(fabric.log(group, slot), [topic])
    await first.until(lambda: len(first.owned) == 2)
    other = await Joined.start_one(fabric.log(group, name("slot")), [topic])

    async def both() -> None:
        while not other.owned:
            await asyncio.gather(first.fetch(0.05), other.fetch(0.05))

    await asyncio.wait_for(both(), 30)
    told, owned = len(other.told), set(first.owned)
    again = await Joined.start_one(fabric.log(group, slot), [topic])

    async def taken_over() -> None:
        while not again.owned:
            await asyncio.gather(again.fetch(0.05), other.fetch(0.05))

    await asyncio.wait_for(taken_over(), 5)
    assert again.owned == owned
    assert other.told[told:] == []
