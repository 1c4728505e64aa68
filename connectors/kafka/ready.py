"""Messages that were fetched and not yet handed over, and what fetch() asked for."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from random import randrange
from typing import Any

from confluent_kafka import Message

from connectors.kafka.columns import as_columns, headers_of, source_of
from connectors.log import Fetched
from schemas.headers import headers_size
from schemas.positions import Source

_SAMPLE = 64  # messages whose headers are read to know how large those of many are


@dataclass(frozen=True, slots=True)
class Demand:
    """What fetch() asked for."""

    max_rows: int = 1
    max_bytes: int = 1
    wait_s: float = 0.0
    headers: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Answer:
    """A batch, and up to which rewind of each source it was made."""

    fetched: Fetched
    turns: Mapping[Source, int]


@dataclass(slots=True)
class Ready:
    """Messages, ends of partitions among them."""

    messages: list[Any] = field(default_factory=list)
    size_bytes: int = 0
    ends: int = 0

    def add(self, messages: list[Any], ends: int) -> None:
        """Put more behind."""
        self.messages += messages
        self.size_bytes += _size(messages)
        self.ends += ends

    def room(self, demand: Demand) -> int:
        """How many more are wanted, if they are as large as those that are here."""
        rows, left_bytes = demand.max_rows - len(self.messages), demand.max_bytes - self.size_bytes
        if rows <= 0 or left_bytes <= 0:
            return 0
        mean_bytes = self.size_bytes // max(1, len(self.messages))
        return min(rows, 1 + left_bytes // max(1, mean_bytes))

    def drop(self, sources: Iterable[Source]) -> dict[Source, int]:
        """Throw away what is of these; the first offset thrown away of each."""
        gone, first, kept = set(sources), dict[Source, int](), []
        for message in self.messages:
            if (source := source_of(message)) in gone:
                first.setdefault(source, message.offset())
            else:
                kept.append(message)
        self._hold(kept)
        return first

    def take(self, demand: Demand) -> Fetched:
        """Hand over as much as was asked for."""
        count = min(len(self.messages), demand.max_rows)
        if self.size_bytes > demand.max_bytes:
            sizes = accumulate(_size([message]) for message in self.messages[:count])
            count = next((row for row, size in enumerate(sizes, 1) if size >= demand.max_bytes), count)
        taken, left, ended = self.messages[:count], self.messages[count:], frozenset[Source]()
        if self.ends:
            ended = frozenset(source_of(message) for message in taken if message.error() is not None)
            taken = [message for message in taken if message.error() is None]
        self._hold(left)
        return Fetched(as_columns(taken, demand.headers), ended)

    def _hold(self, messages: list[Any]) -> None:
        self.messages = messages
        self.size_bytes = _size(messages)
        self.ends = sum(message.error() is not None for message in messages) if self.ends else 0


def _size(messages: list[Any]) -> int:
    """Bytes of keys, values and headers. To know the size of headers is to read them, 3.6 us each, so of many messages they are read of
    _SAMPLE only, at random so that nobody can write around it, and taken for those of the others."""
    stride = 1 + len(messages) // _SAMPLE
    sampled = messages[randrange(stride) :: stride]  # noqa: S311  # no secret
    return sum(map(len, messages)) + sum(map(len, filter(None, map(Message.key, messages)))) + stride * sum(map(_headers_size, sampled))


def _headers_size(message: Any) -> int:
    return headers_size(headers_of(message))
