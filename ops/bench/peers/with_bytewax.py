"""The job as a Bytewax dataflow, at least once: event by event with `flat_map`, or with `flat_map_batch`.

Written as its documentation does it: the operators of `bytewax.connectors.kafka`, a sink whose messages name their topics, a recovery
folder with snapshots every ten seconds. https://github.com/bytewax/bytewax/blob/main/docs/guide/concepts/kafka.md, recovery.md beside it,
and https://github.com/bytewax/bytewax/blob/main/docs/guide/advanced-concepts/performance.md
"""

import argparse
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import bytewax.operators as op
import orjson
import redis
from bytewax.connectors.kafka import KafkaSink, KafkaSinkMessage, KafkaSource
from bytewax.dataflow import Dataflow
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.run import cli_main

from ops.bench.peers.job import AUDIT_ROWS, Done, Job, Kept, asked, found, keys, topics

SNAPSHOT = timedelta(seconds=10)
BATCH = 5_000  # as the page on performance has it


class Wax:
    """One worker."""

    def __init__(self, told: argparse.Namespace) -> None:
        self._job, self._kept = Job(told.schemas, told.group, told.topic), Kept()
        self._redis = redis.Redis.from_url(told.redis)
        self._input = told.topic
        self._out, self._other, self._audit = topics(told.group)
        self.flow = Dataflow(told.group.replace(".", "-"))
        brokers = [told.bootstrap]
        batched = told.way == "batched"
        size = {"batch_size": BATCH} if batched else {}
        messages = op.input("departures", self.flow, KafkaSource(brokers, [told.topic], **size))
        records = op.flat_map_batch("work", messages, self._batch) if batched else op.flat_map("work", messages, self._each)
        op.output("outcomes", records, KafkaSink(brokers, None))

    def _each(self, message: Any) -> Iterable[Any]:
        row = self._job.frame.decode(message.value)
        if row is not None and (missing := self._kept.missing(keys(row))):
            self._kept.put(missing, self._redis.mget(missing))
        done = self._one(message, row, self._kept.known)
        entry = KafkaSinkMessage(None, orjson.dumps([done.entry]), self._audit)
        return (self._record(message, done), entry) if done.headers else (entry,)

    def _batch(self, messages: list[Any]) -> Iterable[Any]:
        rows = [self._job.frame.decode(message.value) for message in messages]
        wanted = list({key for row in rows if row is not None for key in keys(row)})
        known = found(wanted, self._redis.mget(wanted)) if wanted else {}
        audit = []
        for message, row in zip(messages, rows, strict=True):
            done = self._one(message, row, known)
            audit.append(done.entry)
            if done.headers:
                yield self._record(message, done)
        for at in range(0, len(audit), AUDIT_ROWS):
            yield KafkaSinkMessage(None, orjson.dumps(audit[at : at + AUDIT_ROWS]), self._audit)

    def _one(self, message: Any, row: Any, known: Any) -> Done:
        return self._job.one(f"{self._input}/{message.partition}/{message.offset}", message.value, row, known)

    def _record(self, message: Any, done: Done) -> Any:
        return KafkaSinkMessage(message.key, done.value, self._out if done.verdict == "result" else self._other, done.headers)


def main() -> None:
    """The process."""
    told = asked()
    if not list(told.folder.glob("part-*")):
        init_db_dir(told.folder, 1)
    recovery = RecoveryConfig(str(told.folder), backup_interval=timedelta(0))
    cli_main(Wax(told).flow, workers_per_process=1, epoch_interval=SNAPSHOT, recovery_config=recovery)


if __name__ == "__main__":
    main()
