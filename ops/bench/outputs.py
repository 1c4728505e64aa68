"""Counts what is in the outcome topics by input position, with a plain consumer: it knows nothing of who wrote there but one header."""

import time
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from ops.bench.peers.job import Job, found, keys
from schemas.errors import FailedError

POSITION = "ce_weftposition"
VERDICT = "ce_weftverdict"
FILTERED = 0  # nothing is written
VERDICTS: Mapping[bytes, int] = {b"result": 1, b"dead-letter": 2, b"quarantine": 3, b"review": 4}

Ints = npt.NDArray[np.int64]


class Records:
    """Reads topics from their beginning, as far as their records are committed."""

    def __init__(self, bootstrap: str, topics: Mapping[str, int]) -> None:
        """`topics` with how many partitions they have."""
        self._at = [TopicPartition(name, number, OFFSET_BEGINNING) for name, count in topics.items() for number in range(count)]
        self._consumer = Consumer(
            {"bootstrap.servers": bootstrap, "group.id": "bench-reads", "isolation.level": "read_committed", "enable.auto.commit": False,
             "enable.partition.eof": True, "fetch.wait.max.ms": 50}
        )  # fmt: skip
        self._ended: set[tuple[str | None, int | None]] = set()
        self._assigned = False

    def size(self) -> int:
        """How many records there may be to read; marks of transactions count too. 0 while a topic is too new to have a leader."""
        try:
            return sum(self._consumer.get_watermark_offsets(TopicPartition(at.topic, at.partition), timeout=10.0)[1] for at in self._at)
        except KafkaException:
            return 0

    def some(self, wait_s: float) -> list[Message]:
        """The next records."""
        if not self._assigned:
            self._consumer.assign(self._at)
            self._assigned = True
        whole = []
        for message in self._consumer.consume(10_000, wait_s):
            error, at = message.error(), (message.topic(), message.partition())
            if error is None:
                self._ended.discard(at)
                whole.append(message)
            elif error.code() == KafkaError._PARTITION_EOF:
                self._ended.add(at)
            else:
                raise FailedError(f"reading the topics: {error.str()}")
        return whole

    @property
    def at_end(self) -> bool:
        """Whether all that is committed has been read."""
        return len(self._ended) == len(self._at)

    def close(self) -> None:
        """Let go of the connections."""
        self._consumer.close()


@dataclass(frozen=True, slots=True)
class Due:
    """What must become of each event of a topic: by partition, a number of VERDICTS for each offset."""

    verdicts: tuple[Ints, ...]

    @property
    def events(self) -> int:
        """How many there are."""
        return sum(len(part) for part in self.verdicts)

    @property
    def records(self) -> int:
        """How many leave a record."""
        return int(sum(np.count_nonzero(part) for part in self.verdicts))


def due(bootstrap: str, topic: str, partitions: int, schemas: Path, lookups: Mapping[str, bytes]) -> Due:
    """Read the input and do the job to each event, row by row."""
    job, reader = Job(schemas, "due", topic), Records(bootstrap, {topic: partitions})
    made: list[dict[int, int]] = [{} for _ in range(partitions)]
    try:
        while not reader.at_end:
            for message in reader.some(1.0):
                row = job.frame.decode(message.value())
                wanted = keys(row) if row is not None else ()
                verdict = job.one("", message.value(), row, found(wanted, map(lookups.get, wanted))).verdict
                made[message.partition() or 0][message.offset() or 0] = VERDICTS.get(verdict.encode(), FILTERED)
    finally:
        reader.close()
    return Due(tuple(np.array([part[at] for at in range(len(part))], dtype=np.int64) for part in made))


class Outputs:
    """The records of one contender's outcomes."""

    def __init__(self, bootstrap: str, topics: Mapping[str, int]) -> None:
        self.records = Records(bootstrap, topics)
        self._partition, self._offset, self._verdict = array("q"), array("q"), array("q")
        self._appended_ms, self._seen_ms = array("q"), array("q")

    def read(self, wait_s: float) -> int:
        """Read some; how many."""
        messages = self.records.some(wait_s)
        now_ms = round(time.time() * 1000)
        for message in messages:
            headers: dict[str, Any] = dict(message.headers() or ())
            _, partition, offset = (headers.get(POSITION) or b"/-1/-1").rsplit(b"/", 2)
            self._partition.append(int(partition))
            self._offset.append(int(offset))
            self._verdict.append(VERDICTS.get(headers.get(VERDICT) or b"", -1))
            self._appended_ms.append(message.timestamp()[1])
            self._seen_ms.append(now_ms)
        return len(messages)

    def all(self) -> "Seen":
        """Read what is left to read now."""
        while self.read(1.0) or not self.records.at_end:
            pass
        return self.seen()

    def seen(self) -> "Seen":
        """What was read so far."""
        columns = (self._partition, self._offset, self._verdict, self._appended_ms, self._seen_ms)
        return Seen(*(np.array(column, dtype=np.int64) for column in columns))


@dataclass(frozen=True, slots=True)
class Count:
    """How outcomes compare with what was due."""

    lost: int
    twice: int  # records too many
    wrong: int  # another verdict than was due, or of no event

    @property
    def right(self) -> bool:
        """Whether each event has the one outcome that was due."""
        return not (self.lost or self.twice or self.wrong)


@dataclass(frozen=True, slots=True)
class Seen:
    """Records: which event each is of, its verdict, when the broker got it, when it was read."""

    partition: Ints
    offset: Ints
    verdict: Ints
    appended_ms: Ints
    seen_ms: Ints

    def __len__(self) -> int:
        return len(self.offset)

    def at(self, expected: Due) -> Ints:
        """The number of each record's event, counted over all partitions; -1 where there is no such event."""
        sizes = np.array([len(part) for part in expected.verdicts])
        starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
        known = (self.partition >= 0) & (self.partition < len(sizes)) & (self.offset >= 0)
        safe = np.where(known, self.partition, 0)
        known &= self.offset < sizes[safe]
        made: Ints = np.where(known, starts[safe] + self.offset, -1)
        return made

    def count(self, expected: Due) -> Count:
        """Hold them against what was due."""
        all_due, at = np.concatenate(expected.verdicts), self.at(expected)
        known = at >= 0
        times = np.bincount(at[known], minlength=len(all_due))
        wrong = int(np.count_nonzero(~known)) + int(np.count_nonzero(all_due[at[known]] != self.verdict[known]))
        return Count(int(np.count_nonzero((times == 0) & (all_due != FILTERED))), int(np.maximum(times - 1, 0).sum()), wrong)

    def span_ms(self) -> tuple[int, int]:
        """When the broker had a tenth of them, and when nine tenths.

        Not the first and the last: who works on large batches has done a part of the work before the first comes, and would seem faster.
        """
        moments = np.sort(self.appended_ms)
        return int(moments[len(moments) // 10]), int(moments[len(moments) * 9 // 10])

    def events(self, expected: Due) -> float:
        """How many were done in that span, those without output too."""
        first, last = self.span_ms()
        within = np.count_nonzero((self.appended_ms > first) & (self.appended_ms <= last))
        return float(within) * expected.events / max(expected.records, 1)

    def events_s(self, expected: Due) -> float:
        """Events by second in that span; 0 where all came at once, so that none can be told."""
        first, last = self.span_ms()
        return self.events(expected) / ((last - first) / 1000) if last > first else 0.0

    def first_new_ms(self, expected: Due, killed_ms: int) -> int | None:
        """When the first outcome that was not there at the kill could be read; None if none came."""
        at = self.at(expected)
        before = np.unique(at[self.appended_ms <= killed_ms])
        new = ~np.isin(at, before)
        return int(self.seen_ms[new].min()) if new.any() else None


def topics_of(names: Sequence[str], partitions: int) -> Mapping[str, int]:
    """As Records takes them."""
    return dict.fromkeys(names, partitions)
