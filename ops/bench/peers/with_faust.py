"""The job as a Faust application, at least once: event by event, or with `take`.

Written as the user guide does it: an agent that iterates over `stream.events()`, `take()` to gather events, `topic.send()` for what comes
out. https://faust-streaming.github.io/faust/userguide/agents.html, https://faust-streaming.github.io/faust/userguide/streams.html
(`exactly_once` is left out: its sends carry no transactional id, so it does not give what it says.)
"""

import argparse
from collections.abc import Sequence
from typing import Any

import faust
import orjson
import redis.asyncio

from ops.bench.peers.job import AUDIT_ROWS, Done, Job, Kept, asked, found, keys, topics

TAKEN, WITHIN_S = 1_000, 1.0


class Application:
    """One worker."""

    def __init__(self, told: argparse.Namespace) -> None:
        self._job, self._kept = Job(told.schemas, told.group, told.topic), Kept()
        self._redis = redis.asyncio.Redis.from_url(told.redis)
        self.app = faust.App(
            told.group,
            broker=f"kafka://{told.bootstrap}",
            datadir=str(told.folder),
            consumer_auto_offset_reset="earliest",
            topic_disable_leader=True,
            web_enabled=False,
        )
        self._input = told.topic
        self._out, self._other, self._audit = (self._topic(name) for name in topics(told.group))
        self.app.agent(self._topic(told.topic), name="departures")(self.taken if told.way == "take" else self.each)

    def _topic(self, name: str) -> Any:
        return self.app.topic(name, key_serializer="raw", value_serializer="raw", allow_empty=True)

    async def each(self, stream: Any) -> None:
        """Event by event."""
        async for event in stream.events():
            row = self._job.frame.decode(event.value)
            if row is not None and (missing := self._kept.missing(keys(row))):
                self._kept.put(missing, await self._redis.mget(missing))
            done = self._one(event, row, self._kept.known)
            await self._send(event, done)
            await self._audit.send(value=orjson.dumps([done.entry]))

    async def taken(self, stream: Any) -> None:
        """As many as there are, a thousand at most."""
        async for events in stream.take_events(TAKEN, within=WITHIN_S):
            rows = [self._job.frame.decode(event.value) for event in events]
            wanted = list({key for row in rows if row is not None for key in keys(row)})
            known = found(wanted, await self._redis.mget(wanted)) if wanted else {}
            done = [self._one(event, row, known) for event, row in zip(events, rows, strict=True)]
            for event, one in zip(events, done, strict=True):
                await self._send(event, one)
            await self._write([one.entry for one in done])

    def _one(self, event: Any, row: Any, known: Any) -> Done:
        return self._job.one(f"{self._input}/{event.message.partition}/{event.message.offset}", event.value, row, known)

    async def _send(self, event: Any, done: Done) -> None:
        if done.headers:
            headers = [(name, value.encode() if isinstance(value, str) else value) for name, value in done.headers]
            topic = self._out if done.verdict == "result" else self._other
            await topic.send(key=event.message.key, value=done.value, headers=headers)

    async def _write(self, audit: Sequence[Any]) -> None:
        for at in range(0, len(audit), AUDIT_ROWS):
            await self._audit.send(value=orjson.dumps(audit[at : at + AUDIT_ROWS]))


if __name__ == "__main__":
    faust.Worker(Application(asked()).app, loglevel="WARN").execute_from_commandline()
