"""What is proven in memory is proven on a real broker, record by record the same."""

import os
import time
from dataclasses import replace

from connectors.kafka.admin import KafkaAdmin, Topic
from connectors.kafka.publisher import KafkaPublisher
from connectors.kafka.reader import KafkaReader
from connectors.kafka.settings import KafkaSettings
from connectors.log import Outgoing
from ops.audit.find import find
from ops.audit.receipts import receipt
from ops.audit.report import Law
from ops.audit.verify import Verification
from tests.contract import verifier
from tests.contract.ledger_world import TOPICS, World
from tests.stack import TestStack

EVENTS = int(os.environ.get("WEFT_AUDIT_EVENTS", "4000"))  # more to measure


async def made(world: World, kafka: KafkaSettings) -> None:
    """The world's topics on the broker, and their ids in the world: the trees name them."""
    admin = KafkaAdmin(kafka)
    await admin.create([Topic(name, len(topic.partitions)) for name, topic in world.broker.topics.items()])
    for name, topic in (await admin.describe(list(world.broker.topics))).items():
        world.broker.topic(name).topic_id = topic.topic_id


async def copied(world: World, kafka: KafkaSettings) -> None:
    """The world's records on the broker, at the same offsets."""
    publisher = KafkaPublisher(kafka)
    for name, topic in world.broker.topics.items():
        for number, part in enumerate(topic.partitions):
            keys, values = [entry.key for entry in part.entries], [entry.value for entry in part.entries]
            headers = [list(entry.headers) for entry in part.entries]
            if keys:
                await publisher.publish(Outgoing(name, keys, values, headers, partition=number))
    await publisher.close()


async def test_verify_and_receipts_on_a_real_broker(stack: TestStack) -> None:
    kafka = KafkaSettings(stack.bootstrap)
    world = World(4)
    await made(world, kafka)
    for partition in range(4):
        rows = world.produce(partition, EVENTS // 4)
        for at in range(0, len(rows), 5_000):
            world.settle(rows[at : at + 5_000])
    waits = replace(world.produce(0, 1)[0], verdict="retry")
    world.settle([waits])
    world.settle([world.back(TOPICS.retries[0], waits, "result")])
    await world.signer.flush()
    await copied(world, kafka)
    reader = KafkaReader(kafka)
    try:
        started = time.perf_counter()
        report = await Verification(reader, world.subject).run()
        print(f"verified {EVENTS:,} events in {time.perf_counter() - started:.2f} s")
        assert report.proven, report.findings
        assert (report.counts["ended"], report.counts["outcomes"]) == (4 * (EVENTS // 4) + 1, 4 * (EVENTS // 4) + 2)
        (_, last) = await find(reader, world.subject, waits.event)
        given = await receipt(reader, world.subject, last)
        assert verifier.verify(given.encode(), str(world.key.verifier(last.origin)))["verdict"] == "result"
        publisher = KafkaPublisher(kafka)
        await publisher.publish(Outgoing(TOPICS.input, [b"k"], [b"never decided"], partition=0))
        await publisher.publish(Outgoing(TOPICS.dead_letters, [b"k"], [b"from nobody"], partition=0))
        await publisher.close()
        spoilt = await Verification(reader, world.subject).run()
        assert set(spoilt.found) == {Law.OUTCOMES}
        assert spoilt.counts["not taken in"] == 1
    finally:
        await reader.close()
