"""Records that were deleted before they were read, on a real broker: the lane refuses, a person accepts, and the audit proves the rest."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import uuid4

import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient

from connectors.kafka.admin import KafkaAdmin, Topic
from connectors.kafka.log import KafkaLog
from connectors.kafka.outside import Outside
from connectors.kafka.publisher import KafkaPublisher
from connectors.kafka.reader import KafkaReader
from connectors.kafka.settings import KafkaSettings
from connectors.log import Outgoing
from ops.audit.report import Report
from ops.audit.subject import Subject
from ops.audit.verify import Verification
from ops.flow.gap import accept, find_gap
from processors.flow.compiled import Flow, Topics
from schemas.errors import UsageError
from schemas.positions import Source
from streams.clock import SystemClock
from streams.lane import Lane
from streams.ledger.key import LogKey
from streams.ledger.signer import Signer
from streams.parts import LaneParts
from streams.watch import NoWatch
from tests.simulation.small import running, small_flow, until
from tests.stack import TestStack


@dataclass(frozen=True)
class Shop:
    """A small flow with one partition, on the real broker."""

    kafka: KafkaSettings
    flow: Flow
    subject: Subject
    reader: KafkaReader
    publisher: KafkaPublisher
    key: LogKey

    @property
    def source(self) -> Source:
        return Source(self.flow.topics.input, 0)

    async def send(self, *numbers: int) -> None:
        values = [str(number).encode() for number in numbers]
        await self.publisher.publish(Outgoing(self.source.topic, values, values, partition=0))

    def lane(self) -> Lane:
        """A lane that has not begun."""
        signer = Signer(self.publisher, self.flow.topics.checkpoints, self.key, SystemClock())
        log = KafkaLog(self.kafka, self.flow.name, f"{self.flow.name}-0")
        parts = LaneParts(log, self.reader, self.publisher, (self.flow,), "weft", SystemClock(), signer, NoWatch())
        return Lane(parts)

    async def work(self) -> None:
        """Decide what is there."""
        async with running(self.lane()) as lane:
            await until(lane.idle, 30)

    async def verified(self) -> Report:
        """What `weft audit verify` finds."""
        return await Verification(self.reader, self.subject).run()

    async def lose(self, below: int) -> None:
        admin = AdminClient(self.kafka.admin())
        (future,) = admin.delete_records([TopicPartition(*self.source, below)]).values()
        await asyncio.to_thread(future.result, 10)

    async def reset(self, offset: int, metadata: str = "") -> None:
        """Commit another offset for the group, as Kafka's own tools do."""
        consumer = Consumer(self.kafka.reader(self.flow.name))
        await asyncio.to_thread(consumer.commit, offsets=[TopicPartition(*self.source, offset, metadata)], asynchronous=False)
        await asyncio.to_thread(consumer.close)

    async def accepted(self) -> None:
        """What `weft flow accept-gap` does."""
        outside = Outside(self.kafka, self.flow.name)
        try:
            await outside.require_empty()
            gap = await find_gap(self.reader, self.subject, self.source, await outside.committed(self.source))
            await accept(outside, self.subject, gap, "ann", "retention was too short")
        finally:
            await outside.close()


@asynccontextmanager
async def opened(stack: TestStack) -> AsyncIterator[tuple[Shop, Outside]]:
    name = f"g{uuid4().hex[:8]}"
    words = ("input", "result", "dead_letters", "quarantine", "reviews", "resume", "generations", "ledger", "checkpoints")
    topics = Topics(retries=(f"{name}.retry.a", f"{name}.retry.b"), **{word: f"{name}.{word}" for word in words})
    key, kafka = LogKey.generate(), KafkaSettings(stack.bootstrap, session_timeout_ms=4000)
    subject = Subject(name, topics, "weft", (key.verifier(name).public,))
    shop = Shop(kafka, small_flow(name=name, topics=topics), subject, KafkaReader(kafka), KafkaPublisher(kafka), key)
    await KafkaAdmin(kafka).create([Topic(at, 1) for at in (*topics.retries, *(f"{name}.{word}" for word in words))])
    outside = Outside(kafka, name)
    try:
        yield shop, outside
    finally:
        await outside.close()
        await shop.reader.close()
        await shop.publisher.close()


async def emptied(outside: Outside) -> None:
    """A static member that left is one until its session ends."""
    async with asyncio.timeout(30):
        while True:
            try:
                return await outside.require_empty()
            except UsageError:
                await asyncio.sleep(0.3)


async def test_deleted_records_are_given_up_by_a_person_and_the_audit_says_so(stack: TestStack) -> None:
    async with opened(stack) as (shop, outside):
        await shop.send(20, 21, 22)
        await shop.work()
        with pytest.raises(UsageError, match="is running"):
            await shop.accepted()
        await emptied(outside)
        with pytest.raises(UsageError, match="no gap to accept"):
            await shop.accepted()
        await shop.send(23, 24, 25, 26)
        await shop.lose(6)
        await shop.accepted()
        await shop.send(27)
        await shop.work()
        report = await shop.verified()
    assert report.proven, report.findings
    assert report.verdicts == {"result": 5}
    assert any("offsets 3 to 5 were given up: ann: retention was too short" in note for note in report.notes), report.notes


async def test_a_topic_that_was_made_again_goes_on_once_its_loss_is_accepted(stack: TestStack) -> None:
    async with opened(stack) as (shop, outside):
        await shop.send(20, 21, 22)
        await shop.work()
        await emptied(outside)
        await KafkaAdmin(shop.kafka).delete([shop.source.topic])
        await KafkaAdmin(shop.kafka).create([Topic(shop.source.topic, 1)])
        await shop.accepted()
        await shop.send(30, 31)
        await shop.work()
        report = await shop.verified()
    assert report.proven, report.findings
    assert report.verdicts == {"result": 5}
    assert any("was deleted and made again" in note for note in report.notes), report.notes


async def test_offsets_that_were_reset_by_hand_go_on_behind_the_ledger_once_accepted(stack: TestStack) -> None:
    async with opened(stack) as (shop, outside):
        await shop.send(20, 21, 22)
        await shop.work()
        await emptied(outside)
        committed = await outside.committed(shop.source)
        assert committed is not None
        await shop.reset(1)
        await shop.accepted()
        await shop.reset(1_000, committed.metadata)
        await shop.accepted()
        await shop.send(23)
        await shop.work()
        report = await shop.verified()
    assert report.proven, report.findings
    assert report.verdicts == {"result": 4}
    for why in ("1 was not written by Weft", "before the committed 1000"):
        assert any("no record was given up: ann" in note and why in note for note in report.notes), report.notes
