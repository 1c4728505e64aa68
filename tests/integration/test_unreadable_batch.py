"""Batches that can't be read, on a real broker: of one that takes too much memory each record is a dead letter; a damaged one is mended or
given up."""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from confluent_kafka import Producer

from connectors.kafka.outside import Outside
from connectors.kafka.reader import KafkaReader
from connectors.log import Records
from ops.flow.gap import find_gap
from schemas.errors import UnreadableError, UsageError
from schemas.headers import CE_POSITION, OVERSIZED
from schemas.positions import Position, Source
from tests.integration.test_accept_gap import Shop, emptied, opened
from tests.stack import TestStack

BOUND = 8_000_000
HALF = b"v" * (BOUND // 2 + 1)


@asynccontextmanager
async def narrow(stack: TestStack) -> AsyncIterator[tuple[Shop, Outside]]:
    """A flow whose clients take little when decompressed."""
    async with opened(stack) as (shop, outside):
        kafka = replace(shop.kafka, decompressed_bytes=BOUND)
        reader = KafkaReader(kafka)
        try:
            yield replace(shop, kafka=kafka, reader=reader), outside
        finally:
            await reader.close()


def bomb(shop: Shop, source: Source, *values: bytes) -> None:
    """These values in one batch of zstd, a few kilobytes on the wire."""
    producer = Producer(
        shop.kafka.producer()
        | {"compression.type": "zstd", "message.max.bytes": 1_000_000_000, "batch.size": 1_000_000_000, "linger.ms": 1000}
        | {"batch.num.messages": 1_000_000}
    )
    for value in values:
        producer.produce(source.topic, value, b"k", source.partition)
    assert producer.flush(30) == 0


async def letters(shop: Shop) -> list[tuple[str, bool]]:
    """The position of each dead letter's event, and whether it was never read."""
    found = [records async for records in shop.reader.read(Source(shop.flow.topics.dead_letters, 0))]
    headers = [headers for records in found for headers in records.headers or ()]
    return [((dict(pairs)[CE_POSITION] or b"").decode(), OVERSIZED in pairs) for pairs in headers]


def damage(stack: TestStack, position: Position) -> None:
    """Change the last byte of the batch that begins there, on the broker's disk."""
    (segment,) = (stack.folder / "kafka/data" / f"{position.topic}-{position.partition}").glob("*.log")
    held, at = segment.read_bytes(), 0
    while True:
        first, length = struct.unpack_from(">qi", held, at)
        at += 12 + length
        if first == position.offset:
            break
    with segment.open("r+b") as file:
        file.seek(at - 1)
        file.write(bytes([held[at - 1] ^ 1]))


async def refused(shop: Shop) -> UnreadableError:
    """What a worker says that comes upon it."""
    lane = shop.lane()
    await lane.start()
    with pytest.raises(ExceptionGroup) as raised:
        await asyncio.wait_for(lane.run(), 30)
    await lane.close()
    (error,) = raised.value.exceptions
    assert isinstance(error, UnreadableError)
    return error


async def test_each_record_of_a_batch_that_takes_too_much_memory_is_a_dead_letter(stack: TestStack) -> None:
    async with narrow(stack) as (shop, _):
        await shop.send(20, 21)
        bomb(shop, shop.source, HALF, b"22", HALF)
        bomb(shop, shop.source, HALF, HALF)
        await shop.send(23)
        await shop.work()
        assert await letters(shop) == [(f"{shop.source}/{offset}", True) for offset in range(2, 7)]
        report = await shop.verified()
    assert report.proven, report.findings
    assert report.verdicts == {"result": 3, "dead-letter": 5}


async def test_a_batch_of_very_many_records_that_takes_too_much_memory_ends_in_as_many_letters(stack: TestStack) -> None:
    async with narrow(stack) as (shop, _):
        bomb(shop, shop.source, *[b"v" * 4_000] * 2_500)
        await shop.send(20)
        await shop.work()
        assert await letters(shop) == [(f"{shop.source}/{offset}", True) for offset in range(2_500)]
        report = await shop.verified()
    assert report.proven, report.findings
    assert report.verdicts == {"result": 1, "dead-letter": 2_500}


async def test_a_reader_that_begins_within_a_batch_that_takes_too_much_memory_reads_what_follows(stack: TestStack) -> None:
    async with narrow(stack) as (shop, _):
        bomb(shop, shop.source, HALF, b"22", HALF)
        await shop.send(23)
        found: list[Records] = [records async for records in shop.reader.read(shop.source, 1)]
        assert [offset for records in found for offset in records.offsets.tolist()] == [1, 2, 3]
        assert [value for records in found for value in records.values] == [None, None, b"23"]
        at = await shop.reader.at(Position(*shop.source, 2))
    assert at is not None
    assert (at.offsets.tolist(), at.values, list((at.headers or [])[0])) == ([2], [None], [OVERSIZED])


async def test_an_outcome_topic_with_such_a_batch_has_a_finding_for_it_and_the_rest_is_verified(stack: TestStack) -> None:
    async with narrow(stack) as (shop, _):
        await shop.send(20, 21)
        await shop.work()
        bomb(shop, Source(shop.flow.topics.dead_letters, 0), HALF, HALF)
        report = await shop.verified()
    assert sum("was not written by this flow" in sentence for _, sentence in report.findings) == 2
    assert report.counts["outcomes"] == 2


async def test_a_batch_within_the_bound_is_read_however_little_it_was_on_the_wire(stack: TestStack) -> None:
    async with opened(stack) as (shop, _):
        bomb(shop, shop.source, b" " * 60_000_000 + b"20")
        await shop.work()
        assert await letters(shop) == [(f"{shop.source}/0", False)]
        report = await asyncio.wait_for(shop.verified(), 60)
    assert report.proven, report.findings


async def test_a_damaged_batch_is_named_and_given_up_and_nothing_else_is_lost(stack: TestStack) -> None:
    async with opened(stack) as (shop, outside):
        await shop.send(20, 21)
        await shop.send(22)
        await shop.send(23)
        damage(stack, Position(*shop.source, 2))
        error = await refused(shop)
        assert error.position == Position(*shop.source, 2)
        assert f"the batch of records at {shop.source}/2 is damaged" in error.sentence
        assert f"weft flow accept-gap {shop.flow.name} {shop.source}" in error.hint
        await emptied(outside)
        report = await shop.verified()
        assert report.proven, report.findings
        assert (report.verdicts, report.counts["not taken in"]) == ({"result": 2}, 2)
        assert any(f"{shop.source}/2 is damaged" in note for note in report.notes), report.notes
        gap = await find_gap(shop.reader, shop.subject, shop.source, await outside.committed(shop.source))
        assert (gap.first, gap.next) == (2, 3)
        await shop.accepted()
        await shop.work()
        await emptied(outside)
        with pytest.raises(UsageError, match="no gap to accept"):
            await shop.accepted()
        report = await shop.verified()
    assert report.proven, report.findings
    assert report.verdicts == {"result": 3}
    assert any("offsets 2 to 2 were given up: ann" in note for note in report.notes), report.notes


async def test_an_outcome_topic_with_a_damaged_batch_is_a_finding_and_the_rest_is_verified(stack: TestStack) -> None:
    async with opened(stack) as (shop, _):
        await shop.send(20)
        await shop.work()
        damage(stack, Position(shop.flow.topics.result, 0, 0))
        report = await shop.verified()
    assert [sentence for _, sentence in report.findings if "was not compared" in sentence]
