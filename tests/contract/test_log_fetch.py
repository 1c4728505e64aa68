"""What any log must do when records are fetched: the in-memory twin and a real Kafka alike."""

import asyncio

import pytest

from connectors.log import Outgoing
from schemas.errors import FatalError
from schemas.positions import Position, Source
from tests.contract.fabrics import Fabric, Joined, alone, named, outgoing, transact


async def test_a_source_starts_where_the_owner_says(fabric: Fabric) -> None:
    topic = await fabric.topic()
    await fabric.publisher().publish(outgoing(topic, b"0", b"1", b"2"))
    member = await alone(fabric, topic, start=1)
    assert await member.values(2) == [b"1", b"2"]


async def test_a_start_beyond_the_end_is_fatal(fabric: Fabric) -> None:
    topic = await fabric.topic()
    member = await Joined.start_one(fabric.log(named("group"), named("slot")), [topic], start=1000)
    with pytest.raises(FatalError):
        await member.until(lambda: False)


async def test_what_retention_has_deleted_is_gone_and_a_start_there_is_fatal(fabric: Fabric) -> None:
    topic = await fabric.topic()
    source, reader = Source(topic, 0), fabric.reader()
    await fabric.publisher().publish(outgoing(topic, b"0", b"1", b"2", b"3"))
    member = await alone(fabric, topic, start=2)
    await fabric.purge(source, 2)
    extent = await reader.extent(source)
    assert (extent.low, extent.high) == (2, 4)
    assert await reader.at(Position(topic, 0, 1)) is None
    assert [value async for records in reader.read(source) for value in records.values] == [b"2", b"3"]
    assert await member.values(2) == [b"2", b"3"]
    late = await Joined.start_one(fabric.log(named("group"), named("slot")), [topic], start=1)
    with pytest.raises(FatalError):
        await late.until(lambda: False)


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


async def test_a_fetch_that_a_rewind_overtakes_brings_nothing_from_before_it(fabric: Fabric) -> None:
    topic = await fabric.topic()
    member = await alone(fabric, topic)
    await fabric.publisher().publish(outgoing(topic, *(b"%d" % row for row in range(500))))
    for turn in range(60):
        target = turn * 37 % 400
        fetching = asyncio.create_task(member.fetch(max_rows=40))
        await asyncio.sleep(0.0002 * (turn % 10))
        over = fetching.done()
        await member.log.rewind({Source(topic, 0): target})
        fetched = await fetching
        while over or not fetched.records:
            over, fetched = False, await member.fetch(max_rows=10)
        assert fetched.records[0].offsets[0] == target


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


@pytest.mark.parametrize("within", ["key", "headers"])
async def test_keys_and_headers_count_as_values_do(fabric: Fabric, within: str) -> None:
    topic = await fabric.topic()
    member = await alone(fabric, topic)
    keys, headers = ([b"k" * 1000], [("h", b"")]) if within == "key" else ([b"k"], [("h", b"h" * 1000)])
    await fabric.publisher().publish(Outgoing(topic, keys * 20, [b"v"] * 20, [list(headers)] * 20, partition=0))
    seen = 0
    while seen < 20:
        fetched = await member.fetch(1.0, max_rows=20, max_bytes=2500)
        rows = sum(map(len, fetched.records))
        assert rows <= 3
        seen += rows
