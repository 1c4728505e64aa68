"""A member that dies in the middle of a rebalance and comes back leaves partitions that nobody holds; they are held again soon."""

import asyncio
import time

from confluent_kafka import Consumer

from connectors.kafka.settings import KafkaSettings
from connectors.kafka.unheld import LOOK_S
from schemas.positions import Source
from tests.contract.fabrics import Joined, KafkaFabric, named
from tests.stack import TestStack


def holder(settings: KafkaSettings, group: str, slot: str, topic: str) -> Consumer:
    """A static member that holds everything, and then does nothing any more."""
    consumer = Consumer(settings.member(group, slot, [topic]))
    consumer.subscribe([topic])
    end_s = time.monotonic() + 20
    while len(consumer.assignment()) < 4:
        assert time.monotonic() < end_s
        consumer.consume(1, 0.1)
    return consumer


async def test_what_nobody_holds_after_a_death_in_a_rebalance_is_held_again(stack: TestStack) -> None:
    fabric = KafkaFabric(stack.bootstrap)
    topic, group, slot = await fabric.topic(4), named("group"), named("a")
    dying = await asyncio.to_thread(holder, fabric.settings, group, slot, topic)
    other = await Joined.start_one(fabric.log(group, named("b")), [topic])
    await other.until(lambda: bool(other.told))  # two are about to move, and the one that holds them never lets go
    again = await Joined.start_one(fabric.log(group, slot), [topic])
    await again.until(lambda: bool(again.owned))
    assert (len(again.owned), len(other.owned)) == (2, 0)

    async def held() -> None:
        while again.owned | other.owned != {Source(topic, partition) for partition in range(4)}:
            await asyncio.gather(again.fetch(0.05), other.fetch(0.05))

    await asyncio.wait_for(held(), LOOK_S * 2 + 20)
    await fabric.close()
    await asyncio.to_thread(dying.close)
