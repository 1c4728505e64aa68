"""The job as a Quix Streams application, event by event, with either of its guarantees.

Written as its documentation does it: `Application(processing_guarantee=...)`, a StreamingDataFrame with `apply(expand=True)`,
`set_headers` and `to_topic` with a topic chosen by the value, checkpoints every five seconds as by default.
https://docs.quix.io/quix-streams/processing.html, https://docs.quix.io/quix-streams/configuration.html#processing-guarantees,
https://docs.quix.io/quix-streams/advanced/serialization.html
"""

import argparse
from typing import Any, NamedTuple

import orjson
import redis
from quixstreams import Application, message_context
from quixstreams.models import Serializer

from ops.bench.peers.job import Headers, Job, Kept, asked, keys, topics


class Written(NamedTuple):
    """One record that goes out."""

    topic: Any
    key: bytes | None
    value: bytes
    headers: Headers


class AsItIs(Serializer):  # type: ignore[misc]
    """The record's bytes."""

    def __call__(self, value: Any, ctx: Any) -> bytes:
        """Its value."""
        del ctx
        return bytes(value.value)


class Quix:
    """One process."""

    def __init__(self, told: argparse.Namespace) -> None:
        self._job, self._kept = Job(told.schemas, told.group, told.topic), Kept()
        self._redis = redis.Redis.from_url(told.redis)
        self.app = Application(
            broker_address=told.bootstrap,
            consumer_group=told.group,
            auto_offset_reset="earliest",
            processing_guarantee=told.way,
            state_dir=told.folder,
            auto_create_topics=False,
            loglevel="WARNING",
        )
        self._input = told.topic
        self._out, self._other, self._audit = (
            self.app.topic(name, value_serializer=AsItIs(), key_serializer="bytes") for name in topics(told.group)
        )
        departures = self.app.topic(told.topic, value_deserializer="bytes", key_deserializer="bytes")
        records = self.app.dataframe(departures).apply(self._work, expand=True, metadata=True)
        records = records.set_headers(lambda record, key, timestamp, headers: record.headers)
        records.to_topic(lambda record, key, timestamp, headers: record.topic, key=lambda record: record.key)

    def _work(self, value: bytes, key: Any, timestamp: int, headers: Any) -> list[Written]:
        del timestamp, headers
        at = message_context()
        row = self._job.frame.decode(value)
        if row is not None and (missing := self._kept.missing(keys(row))):
            self._kept.put(missing, self._redis.mget(missing))
        done = self._job.one(f"{self._input}/{at.partition}/{at.offset}", value, row, self._kept.known)
        entry = Written(self._audit, None, orjson.dumps([done.entry]), [])
        if not done.headers:
            return [entry]
        return [Written(self._out if done.verdict == "result" else self._other, key, done.value, done.headers), entry]


if __name__ == "__main__":
    Quix(asked()).app.run()
