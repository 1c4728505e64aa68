"""The transactional producer of a slot: the event loop hands records over, a settle thread under a watchdog waits for them."""

import asyncio
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from confluent_kafka import KafkaError, KafkaException, Message, Producer, TopicPartition

from connectors.kafka.errors import Kind, kind_of, translated
from connectors.kafka.settings import LOGGER, Conf, KafkaSettings
from connectors.kafka.threads import CallThread
from connectors.log import Commit, Outgoing
from schemas.errors import AbortError, FatalError, LogError, RetriableError

T = TypeVar("T")

_CALL_S = 2.0  # one call of the client, which is then made again
_STUCK_S = 4.0  # a call that has not returned by then never will: send_offsets_to_transaction forgets its timeout (librdkafka #5456, #5511)
_PAUSE_S = 0.05  # before the same call again
_FULL_S = 5.0  # how long produce() waits for room in the client's queue


class TransactionalProducer:
    """One transaction at a time. A record that fails unnoticed fails the commit: the client then refuses it."""

    def __init__(self, settings: KafkaSettings, slot: str) -> None:
        self._watchdog_s = settings.watchdog_s
        self._producer = Producer(self._conf(settings, slot), logger=LOGGER)
        self._thread = CallThread(f"settle-{slot}")
        self._progress_s = self._called_s = 0.0
        self._open = False
        self._refused: LogError | None = None  # why the open transaction must not commit
        self._dead: FatalError | None = None
        self._tracked: list[int] = []

    def _conf(self, settings: KafkaSettings, slot: str) -> Conf:
        return settings.transactional(slot)

    async def start(self) -> None:
        """Fence earlier holders of the slot and end their transaction."""
        await self._do("init_transactions", lambda: self._producer.init_transactions(_CALL_S))

    async def begin(self) -> None:
        """Open a transaction."""
        await self._do("begin", self._producer.begin_transaction)
        self._open, self._refused, self._tracked = True, None, []

    def produce(self, outgoing: Outgoing) -> None:
        """Hand records to the client.

        Raises:
            AbortError: one was refused.
        """
        send, topic = self._producer.produce, outgoing.topic
        at = -1 if outgoing.partition is None else outgoing.partition
        headers_of: Sequence[Any] = [None] * len(outgoing.values) if outgoing.headers is None else outgoing.headers
        rows = zip(outgoing.keys, outgoing.values, headers_of, strict=True)
        for key, value, headers in rows:
            note = self._noting() if outgoing.tracked else None
            try:
                send(topic, value, key, at, note, None, 0, headers)
            except BufferError:
                self._when_there_is_room(partial(send, topic, value, key, at, note, None, 0, headers))
            except KafkaException as error:
                raise self._refuse(translated(error, f"producing to {topic}")) from error

    async def flush(self) -> Sequence[int]:
        """Wait until all has landed; the tracked offsets."""
        await self._do("flush", self._flush)
        if self._refused is not None:
            raise self._refused
        tracked, self._tracked = self._tracked, []
        return tracked

    async def commit(self, commits: Sequence[Commit], metadata: Any) -> None:
        """Send the offsets as the member that `metadata` names, and commit."""
        if self._refused is not None:
            raise self._refused
        if commits:
            offsets = [TopicPartition(*commit.source, commit.offset, commit.metadata) for commit in commits]
            await self._do("sending offsets", lambda: self._producer.send_offsets_to_transaction(offsets, metadata, _CALL_S))
        await self._do("commit", lambda: self._producer.commit_transaction(_CALL_S))
        self._open = False

    async def abort(self) -> None:
        """Abort what is open."""
        if self._open:
            await self._do("abort", lambda: self._producer.abort_transaction(_CALL_S))
        self._open, self._refused, self._tracked = False, None, []

    async def close(self) -> None:
        """Abort what is open and end the thread."""
        try:
            await self.abort()
        except LogError as error:
            LOGGER.warning("closing the producer: %s", error)
        self._thread.end()

    async def _do(self, doing: str, call: Callable[[], T]) -> T:
        """Run a call on the settle thread; a retriable failure is repeated, no progress for the watchdog's time is fatal."""
        if self._dead is not None:
            raise self._dead
        self._progress_s = self._called_s = time.monotonic()
        future = self._thread.submit(lambda: self._repeat(doing, call))
        while not future.done():
            await asyncio.wait([future], timeout=0.5)
            now_s = time.monotonic()
            if not future.done() and (now_s - self._progress_s > self._watchdog_s or now_s - self._called_s > _STUCK_S):
                self._dead = FatalError(f"{doing} made no progress for {now_s - self._progress_s:.0f} s")
                raise self._dead
        try:
            return future.result()
        except FatalError as error:
            self._dead = error
            raise

    def _repeat(self, doing: str, call: Callable[[], T]) -> T:
        while True:
            self._called_s = time.monotonic()
            try:
                return call()
            except KafkaException as error:
                if kind_of(error.args[0]) is not Kind.RETRY or self._dead is not None:
                    raise translated(error, doing) from error
                LOGGER.info("%s again: %s", doing, error.args[0].str())
                time.sleep(_PAUSE_S)

    def _flush(self) -> None:
        left = len(self._producer)
        while left and self._dead is None:
            self._called_s = time.monotonic()
            before, left = left, self._producer.flush(0.5)
            if left < before:
                self._progress_s = time.monotonic()

    def _noting(self) -> Callable[[KafkaError | None, Message], None]:
        """A delivery callback that keeps the offset in its place."""
        offsets, at = self._tracked, len(self._tracked)
        offsets.append(-1)

        def note(error: KafkaError | None, message: Any) -> None:
            if error is None:
                offsets[at] = message.offset()
            elif self._tracked is offsets:
                self._refuse(translated(error, f"producing to {message.topic()}"))

        return note

    def _when_there_is_room(self, send: Callable[[], None]) -> None:
        end_s = time.monotonic() + _FULL_S
        while time.monotonic() < end_s:
            self._producer.poll(_PAUSE_S)
            try:
                return send()
            except BufferError:
                continue
        raise self._refuse(AbortError(f"the producer's queue was full for {_FULL_S:g} s"))

    def _refuse(self, error: LogError) -> LogError:
        """The open transaction must not commit any more."""
        self._refused = AbortError(error.sentence) if isinstance(error, RetriableError) else error
        return self._refused
