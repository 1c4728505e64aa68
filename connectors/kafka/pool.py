"""The consumers of a reader: one for each read at a time, kept for the next read, closed after one that went wrong."""

import asyncio
import threading
from collections.abc import Callable
from types import TracebackType
from typing import TypeVar
from uuid import uuid4

from confluent_kafka import Consumer

from connectors.kafka.settings import LOGGER, KafkaSettings

T = TypeVar("T")


class Borrowed:
    """A consumer for one read: `async with pool.consumer() as borrowed`."""

    def __init__(self, pool: "Pool", consumer: Consumer) -> None:
        self._pool, self._consumer = pool, consumer
        self._calling = threading.Lock()

    def call(self, work: Callable[[Consumer], T]) -> T:
        """On a thread: work with the consumer."""
        with self._calling:
            return work(self._consumer)

    async def __aenter__(self) -> "Borrowed":
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is None or kind is GeneratorExit:  # read to the end, or the caller wanted no more
            self._pool.take_back(self._consumer)
        else:
            self._pool.close_later(self._close)

    def _close(self) -> None:
        """Not while a call is under way: whoever was cancelled has left it behind on its thread."""
        self.call(Consumer.close)


class Pool:
    """A reader's consumers. All calls but `Borrowed.call` belong on the event loop."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._idle: list[Consumer] = []
        self._closing: set[asyncio.Task[None]] = set()
        self._open = True

    def consumer(self) -> Borrowed:
        """One that is idle, or a new one."""
        return Borrowed(self, self._idle.pop() if self._idle else self._made())

    def take_back(self, consumer: Consumer) -> None:
        """It can be used again."""
        if self._open:
            consumer.unassign()
            self._idle.append(consumer)
        else:
            self.close_later(consumer.close)

    def close_later(self, close: Callable[[], None]) -> None:
        """Aside: it may take as long as the call that is under way."""
        task = asyncio.create_task(asyncio.to_thread(close))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        """Let go of all that are idle; those that are not are let go of when they come back."""
        self._open = False
        idle, self._idle = self._idle, []
        for consumer in idle:
            self.close_later(consumer.close)
        await asyncio.gather(*self._closing)

    def _made(self) -> Consumer:
        return Consumer(self._settings.reader(f"weft-reader-{uuid4().hex}"), logger=LOGGER)
