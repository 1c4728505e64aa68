"""The publisher port on Kafka: an idempotent producer outside any transaction."""

import asyncio
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from connectors.kafka.errors import Kind, kind_of, translated
from connectors.kafka.reach import unreachable
from connectors.kafka.settings import LOGGER, KafkaSettings
from connectors.log import Outgoing
from schemas.errors import FailedError, WeftError
from schemas.positions import Position

_CHUNK = 10_000  # records handed to the client between two turns of the event loop


class KafkaPublisher:
    """A `Publisher`. Calls are served one after another."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._producer: Producer | None = None
        self._turn = asyncio.Lock()

    async def publish(self, outgoing: Outgoing) -> Sequence[Position]:
        """See Publisher.

        Raises:
            UnreachableError: no broker took them in time; some may have landed.
            FailedError: a record was refused; those before it may have landed.
        """
        landed: list[Position | KafkaError | None] = [None] * len(outgoing.values)
        async with self._turn:
            for start in range(0, len(landed), _CHUNK):
                await asyncio.to_thread(self._send, outgoing, start, landed)
            await asyncio.to_thread(self._flush)
        positions = [at for at in landed if isinstance(at, Position)]
        if len(positions) < len(landed):
            raise self._failed(next((at for at in landed if isinstance(at, KafkaError)), None), outgoing.topic)
        return positions

    async def close(self) -> None:
        """See Publisher."""
        async with self._turn:
            await asyncio.to_thread(self._flush)
            self._producer = None

    def _send(self, outgoing: Outgoing, start: int, landed: list[Position | KafkaError | None]) -> None:
        producer = self._client()
        partition = -1 if outgoing.partition is None else outgoing.partition
        for row in range(start, min(start + _CHUNK, len(landed))):
            headers = outgoing.headers[row] if outgoing.headers is not None else None
            send = partial(
                producer.produce, outgoing.topic, outgoing.values[row], outgoing.keys[row], partition, partial(_note, landed, row)
            )
            try:
                try:
                    send(headers=headers)  # type: ignore[arg-type]
                except BufferError:
                    producer.flush(self._settings.watchdog_s)
                    send(headers=headers)  # type: ignore[arg-type]
            except KafkaException as error:
                landed[row] = error.args[0]
                return
        producer.poll(0)

    def _flush(self) -> None:
        end_s = time.monotonic() + self._settings.watchdog_s
        while self._producer is not None and self._producer.flush(1.0) and time.monotonic() < end_s:
            pass

    def _failed(self, error: KafkaError | None, topic: str) -> WeftError:
        if error is None or kind_of(error) is Kind.RETRY or error.code() == KafkaError._MSG_TIMED_OUT:
            return unreachable(self._settings)
        return FailedError(translated(error, f"producing to {topic}").sentence)

    def _client(self) -> Producer:
        if self._producer is None:
            self._producer = Producer(self._settings.producer(), logger=LOGGER)
        return self._producer


def _note(landed: list[Position | KafkaError | None], row: int, error: KafkaError | None, message: Any) -> None:
    landed[row] = error if error is not None else Position(message.topic(), message.partition(), message.offset())
