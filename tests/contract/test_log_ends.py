"""What any log must say of transactions that stand open in the topics that a flow writes: the in-memory twin and a real Kafka alike."""

import asyncio

import pytest

from connectors.hanging import settled
from connectors.log import Ends, Log
from schemas.errors import FatalError, UsageError
from schemas.positions import Source
from tests.contract.fabrics import Fabric, alone, outgoing, transact


async def left_open(log: Log, topic: str, partition: int = 0) -> None:
    """A transaction with a record, neither committed nor aborted."""
    await log.begin()
    log.produce(outgoing(topic, b"open", partition=partition))
    await log.flush()


async def test_the_ends_of_a_partition_differ_while_a_transaction_is_open_in_it(fabric: Fabric) -> None:
    topic, other = await fabric.topic(2), await fabric.topic()
    log = (await alone(fabric, topic)).log
    await transact(log, outgoing(topic, b"a"))
    await left_open(log, topic)
    await fabric.publisher().publish(outgoing(topic, b"behind"))
    assert await log.ends([topic, other]) == {Source(topic, 0): Ends(2, 4), Source(topic, 1): Ends(0, 0), Source(other, 0): Ends(0, 0)}
    await log.abort()
    await settled(log, [topic], 5)  # a marker may be written a moment after its abort has returned
    assert (await log.ends([topic]))[Source(topic, 0)] == Ends(5, 5)
    with pytest.raises(UsageError):
        await log.ends([topic, "nowhere"])


async def test_who_asks_waits_for_the_transactions_that_are_open_and_for_no_later_ones(fabric: Fabric) -> None:
    topic = await fabric.topic()
    (one, two), third = [(await alone(fabric, topic)).log for _ in range(2)], (await alone(fabric, topic)).log
    await left_open(one, topic)
    waiting = asyncio.create_task(settled(third, [topic], 20))
    await asyncio.sleep(0.3)
    assert not waiting.done()
    await left_open(two, topic)
    await one.commit([])
    await waiting
    await two.abort()


async def test_a_transaction_that_does_not_end_is_refused_with_its_place_and_what_ends_it(fabric: Fabric) -> None:
    topic = await fabric.topic(3)
    one, two = [(await alone(fabric, topic)).log for _ in range(2)]
    await transact(one, outgoing(topic, b"a", partition=2))
    await left_open(one, topic, partition=2)
    with pytest.raises(FatalError, match=rf"{topic}/2/2 did not end within 0\.3 s.*KAFKA-20734") as refused:
        await settled(two, [topic], 0.3)
    assert f"abort --topic {topic} --partition 2 --start-offset 2; then start again" in refused.value.hint
    await one.abort()
    await settled(two, [topic], 0.3)


async def test_it_is_told_how_large_a_record_each_topic_takes(fabric: Fabric) -> None:
    small, usual = await fabric.topic(max_message_bytes=100_000), await fabric.topic()
    member = await alone(fabric, usual)
    assert await member.log.rooms([small, usual, "there.is.none"]) == {small: 100_000, usual: 1_048_588}
