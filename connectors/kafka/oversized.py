"""A batch that takes more memory than the client may use to decompress it. Its records are handed over all the same: of each, only the
place is known, and the header OVERSIZED says so."""

import time
from contextlib import closing
from uuid import uuid4

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from connectors.kafka.settings import LOGGER, KafkaSettings
from schemas.headers import OVERSIZED
from schemas.positions import Position

_POLL_S = 0.2


def oversized(message: Message) -> Position | None:
    """The batch's first position, if that is what the client says. It says so again and again, until it is sent elsewhere."""
    error, topic, partition, offset = message.error(), message.topic(), message.partition(), message.offset()
    if error is None or error.code() != KafkaError._BAD_COMPRESSION or topic is None or partition is None or offset is None:
        return None
    return Position(topic, partition, offset)


class Unread:
    """Stands in for the records of such batches. Its calls block."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._ends: dict[Position, int] = {}  # of the last batch of each source

    def records(self, batch: Position, start: int, rows: int) -> list[Message]:
        """The batch's records from an offset on, at most so many: no key, no value, no timestamp.

        Raises:
            KafkaException: the broker did not answer.
        """
        if batch not in self._ends:
            LOGGER.warning("the batch at %s takes more than %d bytes when decompressed", batch, self._settings.decompressed_bytes)
            with closing(Consumer(self._settings.reader(f"weft-probe-{uuid4().hex}"), logger=LOGGER)) as probe:
                end = _end(probe, batch, self._settings.reach_s)
            self._ends = {at: end for at, end in self._ends.items() if at.source != batch.source} | {batch: end}
        first = max(start, batch.offset)
        offsets = range(first, min(self._ends[batch], first + rows))
        return [
            Message(topic=batch.topic, partition=batch.partition, offset=offset, headers=[OVERSIZED], timestamp=(0, -1))
            for offset in offsets
        ]


def _end(probe: Consumer, batch: Position, wait_s: float) -> int:
    """The offset behind a batch. Whichever of its offsets is asked for, the client names its first: search by that."""
    _, high = probe.get_watermark_offsets(TopicPartition(*batch.source), timeout=wait_s)
    last, step = batch.offset, 1
    while last + step < high and _inside(probe, batch, last + step, wait_s):
        last, step = last + step, step * 2
    end = min(last + step, high)
    while end - last > 1:
        middle = (last + end) // 2
        last, end = (middle, end) if _inside(probe, batch, middle, wait_s) else (last, middle)
    return end


def _inside(probe: Consumer, batch: Position, offset: int, wait_s: float) -> bool:
    probe.assign([TopicPartition(*batch.source, offset)])
    until_s = time.monotonic() + wait_s
    while time.monotonic() < until_s:
        for message in probe.consume(1, _POLL_S):
            if (error := message.error()) is None or error.code() == KafkaError._PARTITION_EOF:
                return False
            if (found := oversized(message)) is not None:
                return found == batch
    raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
