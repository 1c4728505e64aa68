"""A batch that takes too much memory when decompressed, on a real broker: read within the bound, else refused, given up and proven."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from confluent_kafka import Producer

from connectors.kafka.outside import Outside
from connectors.kafka.reader import KafkaReader
from ops.flow.gap import find_gap
from schemas.errors import UnreadableError, UsageError
from schemas.positions import Position, Source
from tests.integration.test_accept_gap import Shop, emptied, opened
from tests.stack import TestStack

BOUND = 60_000_000  # the client wants more than a whole fetch
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
    )
    for value in values:
        producer.produce(source.topic, value, b"k", source.partition)
    assert producer.flush(30) == 0


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


async def test_a_batch_that_can_not_be_read_is_named_and_given_up_and_nothing_else_is_lost(stack: TestStack) -> None:
    async with narrow(stack) as (shop, outside):
        await shop.send(20, 21)
        bomb(shop, shop.source, HALF, b"22", HALF)
        await shop.send(23)
        error = await refused(shop)
        assert error.position == Position(*shop.source, 2)
        assert f"the batch of records at {shop.source}/2 can't be read" in error.sentence
        assert f"weft flow accept-gap {shop.flow.name} {shop.source}" in error.hint
        await emptied(outside)
        report = await shop.verified()
        assert report.proven, report.findings
        assert (report.verdicts, report.counts["not taken in"]) == ({"result": 2}, 4)
        assert any(f"{shop.source}/2 can't be read" in note for note in report.notes), report.notes
        gap = await find_gap(shop.reader, shop.subject, shop.source, await outside.committed(shop.source))
        assert gap.next == 5
        await shop.accepted()
        await shop.work()
        await emptied(outside)
        with pytest.raises(UsageError, match="no gap to accept"):
            await shop.accepted()
        report = await shop.verified()
    assert report.proven, report.findings
    assert report.verdicts == {"result": 3}
    assert any("offsets 2 to 4 were given up: ann" in note for note in report.notes), report.notes


async def test_of_batches_that_can_not_be_read_only_the_next_is_given_up(stack: TestStack) -> None:
    async with narrow(stack) as (shop, outside):
        for _ in range(2):
            bomb(shop, shop.source, HALF, HALF)
        for first in (0, 2):
            gap = await find_gap(shop.reader, shop.subject, shop.source, await outside.committed(shop.source))
            assert (gap.first, gap.next) == (first, first + 2)
            await shop.accepted()
        await shop.send(20)
        await shop.work()
        report = await shop.verified()
    assert report.proven, report.findings
    assert report.verdicts == {"result": 1}


async def test_an_outcome_topic_that_can_not_be_read_is_a_finding_and_the_rest_is_verified(stack: TestStack) -> None:
    async with narrow(stack) as (shop, _):
        await shop.send(20, 21)
        await shop.work()
        bomb(shop, Source(shop.flow.topics.dead_letters, 0), HALF, HALF)
        report = await shop.verified()
    assert [sentence for _, sentence in report.findings if "was not compared" in sentence]
    assert report.counts["outcomes"] == 2


async def test_a_batch_within_the_bound_is_read_however_little_it_was_on_the_wire(stack: TestStack) -> None:
    async with opened(stack) as (shop, _):
        bomb(shop, shop.source, b" " * 200_000_000 + b"20")
        await shop.work()
        report = await asyncio.wait_for(shop.verified(), 60)
    assert report.proven, report.findings
    assert sum(report.verdicts.values()) == 1
