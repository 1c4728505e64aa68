"""What only a real Kafka can show: a network that fails, a process that is killed, a transaction of another client."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from uuid import uuid4

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from connectors.kafka.log import KafkaLog
from connectors.kafka.settings import KafkaSettings
from connectors.log import Commit
from schemas.errors import FatalError, UnreachableError
from schemas.positions import Source
from tests.contract.fabrics import Joined, KafkaFabric, outgoing
from tests.stack import Proxy, TestStack

HOLDER = """\
import asyncio, sys
from connectors.kafka.log import KafkaLog
from connectors.kafka.settings import KafkaSettings
from tests.contract.fabrics import Joined, outgoing

async def main(bootstrap: str, topic: str, group: str, slot: str) -> None:
    member = await Joined.start_one(KafkaLog(KafkaSettings(bootstrap), group, slot), [topic])
    await member.values(1)
    await member.log.begin()
    member.log.produce(outgoing(topic, b"never committed", partition=1))
    await member.log.flush()
    print("first batch", flush=True)
    await asyncio.sleep(60)

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.fixture
async def fabric(stack: TestStack) -> AsyncIterator[KafkaFabric]:
    """The real parts."""
    made = KafkaFabric(stack.bootstrap)
    yield made
    await made.close()


async def test_a_broker_that_is_not_there_is_said_with_its_address_and_what_to_do() -> None:
    log = KafkaLog(KafkaSettings("127.0.0.1:1", reach_s=1.0), "group", "slot")
    with pytest.raises(UnreachableError, match=r"127\.0\.0\.1:1") as raised:
        await log.start(["t"], Joined(log))
    assert "weft up" in raised.value.hint


async def test_a_killed_slot_is_back_within_three_seconds_and_ends_its_transaction(fabric: KafkaFabric, stack: TestStack) -> None:
    topic, group = await fabric.topic(2), uuid4().hex
    await fabric.publisher().publish(outgoing(topic, b"a"))
    command = [sys.executable, "-c", HOLDER, stack.bootstrap, topic, group, "slot"]
    for _ in range(3):
        holder = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        assert holder.stdout is not None
        assert await holder.stdout.readline() == b"first batch\n"
        holder.kill()
        await holder.wait()
    began = time.monotonic()
    member = await Joined.start_one(fabric.log(group, "slot"), [topic])
    assert await member.values(1) == [b"a"]
    assert time.monotonic() - began < 3
    await member.end({Source(topic, 1)})


async def test_a_short_outage_is_waited_for(fabric: KafkaFabric, stack: TestStack, proxy: Proxy) -> None:
    topic = await fabric.topic()
    log = KafkaLog(replace(fabric.settings, bootstrap=stack.second_bootstrap), uuid4().hex, uuid4().hex)
    member = await Joined.start_one(log, [topic])
    await member.until(lambda: bool(member.owned))
    await log.begin()
    log.produce(outgoing(topic, b"a"))
    await log.flush()
    proxy.cut()
    committing = asyncio.create_task(log.commit([Commit(Source(topic, 0), 1, "m")]))
    await asyncio.sleep(1.5)
    assert not committing.done()
    proxy.heal()
    await committing
    assert (await log.committed([Source(topic, 0)]))[Source(topic, 0)] == Commit(Source(topic, 0), 1, "m")
    await log.close()


async def test_no_progress_ends_the_process(fabric: KafkaFabric, stack: TestStack, proxy: Proxy) -> None:
    topic = await fabric.topic()
    log = KafkaLog(replace(fabric.settings, bootstrap=stack.second_bootstrap, watchdog_s=3.0), uuid4().hex, uuid4().hex)
    member = await Joined.start_one(log, [topic])
    await member.until(lambda: bool(member.owned))
    await log.begin()
    log.produce(outgoing(topic, b"a"))
    proxy.freeze()
    began = time.monotonic()
    with pytest.raises(FatalError):
        await log.flush()
    assert time.monotonic() - began < 15
    with pytest.raises(FatalError):
        await log.begin()
    proxy.heal()
    await log.close()


async def test_committed_waits_for_an_open_transaction_on_the_offset(fabric: KafkaFabric) -> None:
    topic, group = await fabric.topic(), uuid4().hex
    bystander = Consumer(fabric.settings.reader(group))
    producer = Producer(fabric.settings.transactional(uuid4().hex))
    producer.init_transactions(10)
    producer.begin_transaction()
    producer.send_offsets_to_transaction([TopicPartition(topic, 0, 0, "held")], bystander.consumer_group_metadata(), 10)
    member = await Joined.start_one(fabric.log(group, uuid4().hex), [topic])
    with pytest.raises(TimeoutError):
        await member.until(lambda: bool(member.owned), 3)
    producer.commit_transaction(10)
    await member.until(lambda: bool(member.owned))
    assert await member.log.committed([Source(topic, 0)]) == {Source(topic, 0): Commit(Source(topic, 0), 0, "held")}
    bystander.close()
