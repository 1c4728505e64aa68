"""The reader port on Kafka: consumers without a group, that read committed records up to the end as of now."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from confluent_kafka import Consumer, IsolationLevel, KafkaError, KafkaException, Message, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from connectors.kafka.columns import as_columns, source_of
from connectors.kafka.errors import Kind, kind_of, translated, unreadable
from connectors.kafka.oversized import Unread, oversized
from connectors.kafka.pool import Borrowed, Pool
from connectors.kafka.reach import unreachable
from connectors.kafka.settings import LOGGER, KafkaSettings
from connectors.log import Ends, Extent, Records
from schemas.errors import FailedError, UnreadableError, UsageError, WeftError
from schemas.positions import Position, Source

T = TypeVar("T")

_ROWS = 5_000
_POLL_S = 0.2
_NO_LEADER_YET = (KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE)
_UNKNOWN = (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION)


@dataclass(slots=True)
class _Came:
    """What one wait brought: messages, and what stands behind them."""

    messages: list[Message]
    ended: bool = False  # the end of the partition
    oversized: Position | None = None
    broken: UnreadableError | None = None


class KafkaReader:
    """A `Reader`. A read that gets nothing for `reach_s` although there is more is an UnreachableError."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._pool, self._unread = Pool(settings), Unread(settings)
        self._admin: AdminClient | None = None

    async def extent(self, source: Source) -> Extent:
        """See Reader. `high` is the last stable offset: what `read_committed` sees now."""
        async with self._pool.consumer() as borrowed:
            low, high = await self._extent(borrowed, source)
        future = self._cluster().describe_topics(TopicCollection([source.topic]))[source.topic]
        topic = await self._asked(source, lambda: future.result(self._settings.reach_s), f"describing {source.topic}")
        return Extent(low, high, str(topic.topic_id))

    async def partitions(self, topic: str) -> int:
        """See Reader."""
        first = Source(topic, 0)
        found = await self._asked(first, lambda: self._cluster().list_topics(topic, self._settings.reach_s), f"describing {topic}")
        if (there := found.topics.get(topic)) is None or there.error is not None:
            raise UsageError(f"there is no topic {topic}", "create it with `weft flow apply`")
        return len(there.partitions)

    async def ends(self, topic: str) -> Mapping[Source, Ends]:
        """See Reader."""
        asked = {TopicPartition(topic, number): OffsetSpec.latest() for number in range(await self.partitions(topic))}  # type: ignore[no-untyped-call]

        def ends() -> Mapping[Source, Ends]:
            stable, high = (
                self._cluster().list_offsets(asked, isolation_level=level, request_timeout=self._settings.reach_s)
                for level in (IsolationLevel.READ_COMMITTED, IsolationLevel.READ_UNCOMMITTED)
            )
            return {source_of(at): Ends(stable[at].result().offset, high[at].result().offset) for at in asked}

        return await self._asked(Source(topic, 0), ends, f"reading where {topic} ends")

    async def read(self, source: Source, start: int = 0) -> AsyncIterator[Records]:
        """See Reader."""
        async with self._pool.consumer() as borrowed:
            low, end = await self._extent(borrowed, source)
            at = max(start, low)
            if at < end:
                await self._asked(source, lambda: borrowed.call(_assigned(source, at)), f"reading {source}")
            while at < end:
                came = await self._asked(source, partial(borrowed.call, self._some(source, at, _ROWS)), f"reading {source}")
                for records in as_columns([message for message in came.messages if (message.offset() or 0) < end], None):
                    yield records
                if came.broken is not None and came.broken.position.offset < end:
                    raise came.broken
                at = end if came.ended or came.broken else (came.messages[-1].offset() or 0) + 1

    async def at(self, position: Position) -> Records | None:
        """See Reader."""
        source, offset = position.source, position.offset
        messages: list[Message] = []
        async with self._pool.consumer() as borrowed:
            low, high = await self._extent(borrowed, source)
            if low <= offset < high:
                await self._asked(source, lambda: borrowed.call(_assigned(source, offset)), f"reading {position}")
                came = await self._asked(source, partial(borrowed.call, self._some(source, offset, 1)), f"reading {position}")
                if came.broken is not None and came.broken.position.offset <= offset:
                    raise came.broken
                messages = came.messages
        found = as_columns(messages, None)
        return found[0] if found and found[0].offsets[0] == offset else None

    async def close(self) -> None:
        """See Reader."""
        await self._pool.close()

    async def _extent(self, borrowed: Borrowed, source: Source) -> tuple[int, int]:
        def extent(consumer: Consumer) -> tuple[int, int]:
            found: tuple[int, int] = consumer.get_watermark_offsets(TopicPartition(*source), timeout=self._settings.reach_s)
            return found

        return await self._asked(source, lambda: borrowed.call(extent), f"reading the extent of {source}")

    def _some(self, source: Source, at: int, rows: int) -> Callable[[Consumer], _Came]:
        """Waits for messages from an offset on, or for the end of the partition: whether it was reached comes with them."""

        def some(consumer: Consumer) -> _Came:
            until_s = time.monotonic() + self._settings.reach_s
            while time.monotonic() < until_s:
                came = _now(consumer, rows)
                if came.oversized is not None and not came.messages:
                    came.messages = self._unread.records(came.oversized, at, rows)
                    _assigned(source, (came.messages[-1].offset() or 0) + 1)(consumer)
                if came.messages or came.ended or came.broken:
                    return came
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT))

        return some

    def _cluster(self) -> AdminClient:
        if self._admin is None:
            self._admin = AdminClient(self._settings.admin(), logger=LOGGER)
        return self._admin

    async def _asked(self, source: Source, call: Callable[[], T], doing: str) -> T:
        """A partition just made has no leader for a moment, and the client calls it unknown while its broker is away: asked again."""
        until_s = time.monotonic() + self._settings.reach_s
        while True:
            try:
                return await asyncio.to_thread(call)
            except KafkaException as error:
                code = error.args[0].code()
                if code in _UNKNOWN and not await self._has(source):
                    raise UsageError(f"{doing} failed: there is no such topic or partition", "create it with `weft flow apply`") from error
                if code not in (*_UNKNOWN, *_NO_LEADER_YET) or time.monotonic() > until_s:
                    raise self._failure(error, doing) from error
            await asyncio.sleep(_POLL_S)

    def _failure(self, error: KafkaException, doing: str) -> WeftError:
        if error.args[0].code() in _UNKNOWN or kind_of(error.args[0]) is Kind.RETRY:
            return unreachable(self._settings)
        return FailedError(translated(error, doing).sentence)

    async def _has(self, source: Source) -> bool:
        """Whether the cluster, and not only the client, knows of the partition."""
        try:
            found = await asyncio.to_thread(self._cluster().list_topics, source.topic, self._settings.reach_s)
        except KafkaException as error:
            raise unreachable(self._settings) from error
        return source.partition in found.topics[source.topic].partitions


def _assigned(source: Source, offset: int) -> Callable[[Consumer], None]:
    return lambda consumer: consumer.assign([TopicPartition(*source, offset)])


def _now(consumer: Consumer, rows: int) -> _Came:
    """What has come, after a short wait."""
    messages = consumer.consume(1, _POLL_S)
    if messages and messages[0].error() is None and rows > 1:
        messages += consumer.consume(rows - 1, 0)
    came = _Came([])
    for message in messages:
        if (error := message.error()) is None:
            came.messages.append(message)
        elif error.code() == KafkaError._PARTITION_EOF:
            came.ended = True
        elif (batch := oversized(message)) is not None:
            came.oversized = batch
        elif (broken := unreadable(message)) is not None:
            came.broken = came.broken or broken
        elif kind_of(error) is Kind.FATAL:
            raise KafkaException(error)
    return came
