"""The reader port on Kafka: consumers without a group, that read committed records up to the end as of now."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import TypeVar
from uuid import uuid4

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient

from connectors.kafka.columns import as_columns
from connectors.kafka.errors import Kind, kind_of, translated
from connectors.kafka.reach import unreachable
from connectors.kafka.settings import LOGGER, KafkaSettings
from connectors.log import Extent, Records
from schemas.errors import FailedError, UsageError, WeftError
from schemas.positions import Position, Source

T = TypeVar("T")

_ROWS = 5_000
_POLL_S = 0.2
_NO_LEADER_YET = (KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE)


class KafkaReader:
    """A `Reader`. Each read takes a consumer of its own, kept for the next one."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._idle: list[Consumer] = []
        self._admin: AdminClient | None = None

    async def extent(self, source: Source) -> Extent:
        """See Reader. `high` is the last stable offset: what `read_committed` sees now."""
        consumer = await self._taken()
        low, high = await self._asked(lambda: self._extent(consumer, source), f"reading the extent of {source}")
        self._idle.append(consumer)
        future = self._cluster().describe_topics(TopicCollection([source.topic]))[source.topic]
        topic = await self._asked(lambda: future.result(self._settings.reach_s), f"describing {source.topic}")
        return Extent(low, high, str(topic.topic_id))

    async def partitions(self, topic: str) -> int:
        """See Reader."""
        found = await self._asked(lambda: self._cluster().list_topics(topic, timeout=self._settings.reach_s), f"describing {topic}")
        if (there := found.topics.get(topic)) is None or there.error is not None:
            raise UsageError(f"there is no topic {topic}", "create it with `weft flow apply`")
        return len(there.partitions)

    async def read(self, source: Source, start: int = 0) -> AsyncIterator[Records]:
        """See Reader."""
        consumer = await self._taken()
        low, end = await self._asked(lambda: self._extent(consumer, source), f"reading the extent of {source}")
        at = max(start, low)
        if at < end:
            await self._asked(lambda: consumer.assign([TopicPartition(*source, at)]), f"reading {source}")
        while at < end:
            messages, ended = await self._asked(lambda: _some(consumer, _ROWS), f"reading {source}")
            for records in as_columns([message for message in messages if (message.offset() or 0) < end], None):
                yield records
            at = end if ended else (messages[-1].offset() or 0) + 1 if messages else at
        self._release(consumer)

    async def at(self, position: Position) -> Records | None:
        """See Reader."""
        consumer = await self._taken()
        low, high = await self._asked(lambda: self._extent(consumer, position.source), f"reading the extent of {position.source}")
        found: list[Records] = []
        if low <= position.offset < high:
            found = await self._asked(lambda: self._one(consumer, position), f"reading {position}")
        self._release(consumer)
        return found[0] if found and found[0].offsets[0] == position.offset else None

    async def close(self) -> None:
        """See Reader."""
        idle, self._idle = self._idle, []
        for consumer in idle:
            await asyncio.to_thread(consumer.close)

    def _extent(self, consumer: Consumer, source: Source) -> tuple[int, int]:
        found: tuple[int, int] = consumer.get_watermark_offsets(TopicPartition(*source), timeout=self._settings.reach_s)
        return found

    @staticmethod
    def _one(consumer: Consumer, position: Position) -> list[Records]:
        consumer.assign([TopicPartition(*position)])
        while True:
            messages, ended = _some(consumer, 1)
            if messages or ended:
                return as_columns(messages[:1], None)

    async def _taken(self) -> Consumer:
        """An idle consumer, or a new one."""
        return self._idle.pop() if self._idle else Consumer(self._settings.reader(f"weft-reader-{uuid4().hex}"), logger=LOGGER)

    def _release(self, consumer: Consumer) -> None:
        consumer.unassign()
        self._idle.append(consumer)

    def _cluster(self) -> AdminClient:
        if self._admin is None:
            self._admin = AdminClient(self._settings.admin(), logger=LOGGER)
        return self._admin

    async def _asked(self, call: Callable[[], T], doing: str) -> T:
        try:
            return await asyncio.to_thread(self._patient, call)
        except KafkaException as error:
            code = error.args[0].code()
            if code in (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION):
                raise await self._missing(doing) from error
            if kind_of(error.args[0]) is Kind.RETRY:
                raise unreachable(self._settings) from error
            raise FailedError(translated(error, doing).sentence) from error

    def _patient(self, call: Callable[[], T]) -> T:
        """A topic that was just made has no leader for a moment, and the client does not ask again by itself."""
        until_s = time.monotonic() + self._settings.reach_s
        while True:
            try:
                return call()
            except KafkaException as error:
                if error.args[0].code() not in _NO_LEADER_YET or time.monotonic() > until_s:
                    raise
            time.sleep(_POLL_S)

    async def _missing(self, doing: str) -> WeftError:
        """The client says so too of a topic whose broker is away: asked again, only a cluster that answers has no such topic."""
        try:
            await asyncio.to_thread(lambda: self._cluster().list_topics(timeout=self._settings.reach_s))
        except KafkaException:
            return unreachable(self._settings)
        return UsageError(f"{doing} failed: there is no such topic or partition", "create it with `weft flow apply`")


def _some(consumer: Consumer, rows: int) -> tuple[list[Message], bool]:
    """Messages, and whether the end of the partition was reached."""
    messages = consumer.consume(1, _POLL_S)
    if messages and messages[0].error() is None and rows > 1:
        messages += consumer.consume(rows - 1, 0)
    ended = False
    for error in [error for message in messages if (error := message.error()) is not None]:
        if error.code() == KafkaError._PARTITION_EOF:
            ended = True
        elif kind_of(error) is Kind.FATAL:
            raise KafkaException(error)
    return [message for message in messages if message.error() is None], ended
