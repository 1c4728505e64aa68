"""The job by hand on confluent-kafka, by somebody who knows the client: row by row, exactly once, one transaction a batch.

It follows what makes such a loop fast: batches, one mget a batch for distinct keys, flush before the offsets are sent. The calls are those
of the client's own example, https://github.com/confluentinc/confluent-kafka-python/blob/master/examples/eos-transactions.py
"""

import argparse
from collections.abc import Sequence
from typing import Any

import orjson
import redis
from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition

from ops.bench.peers.job import AUDIT_ROWS, Job, asked, found, keys, topics

BATCH = 2_000


def clients(told: argparse.Namespace) -> tuple[Consumer, Producer]:
    """A static member that reads what is committed, and a transactional producer under a name that stays."""
    common, member = {"bootstrap.servers": told.bootstrap}, f"{told.group}-{told.slot}"
    consumer = Consumer(
        common
        | {"group.id": told.group, "group.instance.id": member, "isolation.level": "read_committed",
           "enable.auto.commit": False, "auto.offset.reset": "earliest",
           "partition.assignment.strategy": "cooperative-sticky", "queued.max.messages.kbytes": 32_768}
    )  # fmt: skip
    producer = Producer(
        common
        | {"transactional.id": member, "compression.type": "lz4", "linger.ms": 5, "queue.buffering.max.messages": 1_000_000,
           "partitioner": "murmur2_random"}
    )  # fmt: skip
    return consumer, producer


def whole(message: Message) -> bool:
    """Whether it is a record.

    Raises:
        RuntimeError: it is an error; whoever started the process starts it again.
    """
    error = message.error()
    if error is not None and error.code() != KafkaError._PARTITION_EOF:
        raise RuntimeError(error.str())
    return error is None


class Loop:
    """One process."""

    def __init__(self, told: argparse.Namespace) -> None:
        self._job = Job(told.schemas, told.group, told.topic)
        self._input, self._wait_s = told.topic, told.wait_s
        self._out, self._other, self._audit = topics(told.group)
        self._redis = redis.Redis.from_url(told.redis)
        self._consumer, self._producer = clients(told)

    def run(self) -> None:
        """For ever."""
        self._producer.init_transactions()
        self._consumer.subscribe([self._input])
        while True:
            messages = [message for message in self._there() if whole(message)]
            if messages:
                self._settle(messages)

    def _there(self) -> Sequence[Message]:
        """A batch: as many as there are, or as come within `--wait-s`. The client waits that long for a whole batch, whatever is there."""
        if self._wait_s:
            return self._consumer.consume(BATCH, self._wait_s)
        first = self._consumer.consume(1, 0.1)
        return [*first, *self._consumer.consume(BATCH - 1, 0)] if first else []

    def _settle(self, messages: Sequence[Message]) -> None:
        self._producer.begin_transaction()
        audit = self._produce(messages)
        for at in range(0, len(audit), AUDIT_ROWS):
            self._producer.produce(self._audit, orjson.dumps(audit[at : at + AUDIT_ROWS]))
        self._producer.flush()
        ends: dict[tuple[Any, Any], Any] = {(message.topic(), message.partition()): message.offset() for message in messages}
        offsets = [TopicPartition(topic, partition, offset + 1) for (topic, partition), offset in ends.items()]
        self._producer.send_offsets_to_transaction(offsets, self._consumer.consumer_group_metadata())
        self._producer.commit_transaction()

    def _produce(self, messages: Sequence[Message]) -> list[Any]:
        """Every outcome; the entries for the audit."""
        rows = [self._job.frame.decode(message.value()) for message in messages]
        wanted = list({key for row in rows if row is not None for key in keys(row)})
        known = found(wanted, self._redis.mget(wanted)) if wanted else {}
        audit = []
        for message, row in zip(messages, rows, strict=True):
            position = f"{message.topic()}/{message.partition()}/{message.offset()}"
            done = self._job.one(position, message.value(), row, known)
            if done.headers:
                topic = self._out if done.verdict == "result" else self._other
                self._producer.produce(topic, done.value, message.key(), headers=done.headers)
            audit.append(done.entry)
        return audit


if __name__ == "__main__":
    Loop(asked()).run()
