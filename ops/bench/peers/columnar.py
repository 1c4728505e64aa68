"""The loop of an expert who works on columns: confluent-kafka, pyruhvro, Arrow and NumPy, exactly once, one transaction a batch.

Fetching, work and settling overlap, a thread each; the group's metadata is taken at rebalances, so that no call waits for the fetching
one; flush before the offsets are sent. A rebalance that takes partitions away ends the process, and whoever started it starts it again.
(The client's `produce_batch` knows no headers.) The calls are those of https://github.com/confluentinc/confluent-kafka-python/blob/master/examples/eos-transactions.py
"""

import argparse
import gc
import queue
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import orjson
import redis
from confluent_kafka import Consumer, Message, TopicPartition

from ops.bench.peers.columns import Columns
from ops.bench.peers.job import AUDIT_ROWS, Done, asked, topics
from ops.bench.peers.loop import clients, whole

BATCH = 10_000  # as Weft's worker

Batch = Sequence[Message]
Ends = Mapping[tuple[Any, Any], Any]


class Pipeline:
    """One process."""

    def __init__(self, told: argparse.Namespace) -> None:
        self._input = told.topic
        self._out, self._other, self._audit = topics(told.group)
        self._columns = Columns(told.schemas, told.group, told.topic, redis.Redis.from_url(told.redis).mget)
        self._consumer, self._producer = clients(told)
        self._metadata: Any = None
        self._fetched: queue.Queue[Batch | BaseException] = queue.Queue(maxsize=1)

    def run(self) -> None:
        """For ever."""
        gc.freeze()
        gc.set_threshold(100_000, 20, 50)  # a batch makes many objects and no cycles
        self._producer.init_transactions()
        threading.Thread(target=self._fetch, daemon=True).start()
        settled: Future[None] | None = None
        with ThreadPoolExecutor(1) as settling:
            while True:
                messages = self._fetched.get()
                if isinstance(messages, BaseException):
                    raise messages
                done, keys, ends = self._work(messages)
                if settled is not None:
                    settled.result()
                self._produce(done, keys)
                settled = settling.submit(self._settle, ends)

    def _fetch(self) -> None:
        try:
            self._consumer.subscribe([self._input], on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._revoked)
            while True:
                messages = [message for message in self._consumer.consume(BATCH, 0.1) if whole(message)]
                if messages:
                    self._fetched.put(messages)
        except BaseException as error:
            self._fetched.put(error)

    def _assigned(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        consumer.incremental_assign(partitions)
        self._metadata = consumer.consumer_group_metadata()

    @staticmethod
    def _revoked(consumer: Consumer, partitions: list[TopicPartition]) -> None:
        del consumer
        raise RuntimeError(f"taken away: {partitions}")

    def _work(self, messages: Batch) -> tuple[list[Done], list[Any], Ends]:
        topic = self._input
        values = [message.value() for message in messages]
        places = [(message.partition(), message.offset()) for message in messages]
        done = self._columns.work(values, [f"{topic}/{partition}/{offset}" for partition, offset in places])
        ends = {(topic, partition): offset for partition, offset in places}
        return done, [message.key() for message in messages], ends

    def _produce(self, done: Sequence[Done], keys: Sequence[Any]) -> None:
        """Every outcome, and the audit."""
        self._producer.begin_transaction()
        send, out, other = self._producer.produce, self._out, self._other
        for (verdict, value, headers, _), key in zip(done, keys, strict=True):
            if headers:
                send(out if verdict == "result" else other, value, key, headers=headers)
        for at in range(0, len(done), AUDIT_ROWS):
            send(self._audit, orjson.dumps([one.entry for one in done[at : at + AUDIT_ROWS]]))

    def _settle(self, ends: Ends) -> None:
        self._producer.flush()
        offsets = [TopicPartition(topic, partition, offset + 1) for (topic, partition), offset in ends.items()]
        self._producer.send_offsets_to_transaction(offsets, self._metadata)
        self._producer.commit_transaction()


if __name__ == "__main__":
    Pipeline(asked()).run()
