"""What any reader and publisher must do: the in-memory twins and a real Kafka alike."""

import asyncio
from collections.abc import Sequence
from uuid import uuid4

import pytest

from connectors.log import Ends, Outgoing, Reader, Records
from schemas.errors import FailedError, UsageError, WeftError
from schemas.positions import Position, Source
from tests.contract.fabrics import Fabric, Joined, outgoing


async def read(reader: Reader, source: Source, start: int = 0) -> list[tuple[int, bytes | None]]:
    """All offsets and values."""
    found: list[tuple[int, bytes | None]] = []
    async for records in reader.read(source, start):
        assert records.headers is not None
        found += zip(map(int, records.offsets), records.values, strict=True)
    return found


async def test_a_publisher_says_where_each_record_landed(fabric: Fabric) -> None:
    topic = await fabric.topic(3)
    positions = await fabric.publisher().publish(Outgoing(topic, [b"a", b"b", b"a"], [b"1", b"2", None]))
    assert len(positions) == 3
    assert positions[0].source == positions[2].source
    found = await fabric.reader().at(positions[2])
    assert found is not None
    assert (list(found.keys), list(found.values)) == ([b"a"], [None])


async def test_a_record_too_large_is_refused_with_the_reason(fabric: Fabric) -> None:
    topic = await fabric.topic(max_message_bytes=10_000)
    with pytest.raises(FailedError):
        await fabric.publisher().publish(outgoing(topic, b"x" * 3_000_000))


async def test_a_reader_reads_to_the_end_as_of_now_and_no_further(fabric: Fabric) -> None:
    topic = await fabric.topic()
    source, reader = Source(topic, 0), fabric.reader()
    assert await read(reader, source) == []
    await fabric.publisher().publish(outgoing(topic, *(b"%d" % row for row in range(12_000))))
    seen: Sequence[Records] = []
    async for records in reader.read(source):
        if not seen:
            await fabric.publisher().publish(outgoing(topic, b"late"))
        seen = [*seen, records]
    assert [int(offset) for records in seen for offset in records.offsets] == list(range(12_000))
    assert await read(reader, source, 11_998) == [(11_998, b"11998"), (11_999, b"11999"), (12_000, b"late")]


async def test_a_reader_sees_neither_aborted_records_nor_open_ones(fabric: Fabric) -> None:
    topic, reader = await fabric.topic(), fabric.reader()
    source = Source(topic, 0)
    member = await Joined.start_one(fabric.log(uuid4().hex, uuid4().hex), [topic])
    for value, committed in ((b"aborted", False), (b"committed", True)):
        await member.log.begin()
        member.log.produce(outgoing(topic, value))
        await member.log.flush()
        await (member.log.commit([]) if committed else member.log.abort())
    await member.log.begin()
    member.log.produce(outgoing(topic, b"open"))
    await member.log.flush()
    assert await read(reader, source) == [(2, b"committed")]
    assert (await reader.extent(source)).high == 4
    assert await reader.ends(topic) == {source: Ends(4, 5)}
    assert await reader.at(Position(topic, 0, 0)) is None
    assert await reader.at(Position(topic, 0, 1)) is None
    found = await reader.at(Position(topic, 0, 2))
    assert found is not None
    assert list(found.values) == [b"committed"]
    assert await reader.at(Position(topic, 0, 4)) is None


async def test_an_extent_names_the_topic_and_another_topic_has_another_id(fabric: Fabric) -> None:
    one, two, reader = await fabric.topic(2), await fabric.topic(), fabric.reader()
    extents = [await reader.extent(Source(one, 0)), await reader.extent(Source(one, 1)), await reader.extent(Source(two, 0))]
    assert [(extent.low, extent.high) for extent in extents] == [(0, 0)] * 3
    assert extents[0].topic_id == extents[1].topic_id != extents[2].topic_id


async def test_a_topic_that_is_not_there_is_a_usage_error(fabric: Fabric) -> None:
    reader = fabric.reader()
    with pytest.raises(UsageError):
        await reader.partitions("nowhere")
    with pytest.raises(UsageError):
        await reader.extent(Source("nowhere", 0))
    with pytest.raises(UsageError):
        await reader.ends("nowhere")
    with pytest.raises(WeftError):
        await fabric.log("group", uuid4().hex).start(["nowhere"], Joined(fabric.log("group", "slot")))
    assert await reader.partitions(await fabric.topic(5)) == 5


async def test_a_read_that_stops_early_leaves_the_reader_usable(fabric: Fabric) -> None:
    topic, reader = await fabric.topic(), fabric.reader()
    await fabric.publisher().publish(outgoing(topic, *(b"%d" % row for row in range(12_000))))
    for _ in range(3):
        async for records in reader.read(Source(topic, 0), 5):
            assert int(records.offsets[0]) == 5
            break
    found = await reader.at(Position(topic, 0, 7))
    assert found is not None
    assert list(found.values) == [b"7"]
    assert len(await read(reader, Source(topic, 0), 11_000)) == 1_000


async def test_a_caller_that_fails_in_mid_read_leaves_the_reader_usable(fabric: Fabric) -> None:
    topic, reader = await fabric.topic(), fabric.reader()
    await fabric.publisher().publish(outgoing(topic, b"0", b"1"))

    async def failing() -> None:
        async for _ in reader.read(Source(topic, 0)):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await failing()
    assert await read(reader, Source(topic, 0)) == [(0, b"0"), (1, b"1")]


async def test_a_cancelled_read_leaves_the_reader_usable(fabric: Fabric) -> None:
    topic, reader = await fabric.topic(), fabric.reader()
    await fabric.publisher().publish(outgoing(topic, *(b"%d" % row for row in range(12_000))))
    for turn in range(5):
        reading = asyncio.create_task(read(reader, Source(topic, 0)))
        await asyncio.sleep(turn * 0.005)
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
    assert len(await read(reader, Source(topic, 0))) == 12_000
