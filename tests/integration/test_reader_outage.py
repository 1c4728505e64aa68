"""A reader whose broker goes away in mid-read: it says so within its bound, and reads on when the broker is back."""

import time
from collections.abc import AsyncIterator
from dataclasses import replace
from random import Random

import psutil
import pytest

from connectors.kafka.pool import Borrowed
from connectors.kafka.reader import KafkaReader
from connectors.kafka.settings import KafkaSettings
from connectors.log import Records
from schemas.errors import UnreachableError, UsageError
from schemas.positions import Position, Source
from tests.contract.fabrics import KafkaFabric, outgoing
from tests.stack import Proxy, TestStack

REACH_S = 2.0
ROWS = 4_000


@pytest.fixture
async def fabric(stack: TestStack) -> AsyncIterator[KafkaFabric]:
    """The real parts."""
    made = KafkaFabric(stack.bootstrap)
    yield made
    await made.close()


@pytest.fixture
async def source(fabric: KafkaFabric) -> Source:
    """A partition that no client holds ready as a whole."""
    source, noise = Source(await fabric.topic(), 0), Random(1)  # noise, since brokers and clients compress
    await fabric.publisher().publish(outgoing(source.topic, *(noise.randbytes(1_000) for _ in range(ROWS))))
    return source


@pytest.fixture
def settings(fabric: KafkaFabric, stack: TestStack) -> KafkaSettings:
    """By way of the proxy, impatient, with little held ready."""
    return replace(fabric.settings, bootstrap=stack.second_bootstrap, reach_s=REACH_S, prefetch_kbytes=64)


async def _drained(reading: AsyncIterator[Records]) -> int:
    """How many rows came."""
    return sum([len(records) async for records in reading])


class Unlucky(KafkaReader):
    """Its network freezes as soon as it knows what a partition holds."""

    proxy: Proxy

    async def _extent(self, borrowed: Borrowed, source: Source) -> tuple[int, int]:
        extent = await super()._extent(borrowed, source)
        self.proxy.freeze()
        return extent


async def test_a_network_that_freezes_in_mid_read_is_said_within_the_bound_and_heals(
    settings: KafkaSettings, source: Source, proxy: Proxy
) -> None:
    reader = KafkaReader(settings)
    reading = reader.read(source)
    await anext(reading)
    proxy.freeze()
    began = time.monotonic()
    with pytest.raises(UnreachableError, match=settings.bootstrap):
        await _drained(reading)
    assert time.monotonic() - began < REACH_S + 2
    proxy.heal()
    assert await _drained(reader.read(source)) == ROWS
    await reader.close()


async def test_a_network_that_freezes_before_the_one_record_came_is_said_within_the_bound(
    settings: KafkaSettings, source: Source, proxy: Proxy
) -> None:
    reader = Unlucky(settings)
    reader.proxy = proxy
    began = time.monotonic()
    with pytest.raises(UnreachableError):
        await reader.at(Position(*source, ROWS - 1))
    assert time.monotonic() - began < REACH_S + 2
    proxy.heal()
    await reader.close()


async def test_reads_that_end_early_or_badly_leave_no_client_behind(fabric: KafkaFabric, source: Source) -> None:
    reader, process = KafkaReader(fabric.settings), psutil.Process()
    assert await reader.at(Position(*source, 0)) is not None
    with pytest.raises(UsageError):
        await reader.extent(Source("nowhere", 0))
    before = process.num_threads()
    for _ in range(10):
        async for _ in reader.read(source):
            break
        with pytest.raises(UsageError):
            await reader.extent(Source("nowhere", 0))
    await reader.close()
    assert process.num_threads() <= before
