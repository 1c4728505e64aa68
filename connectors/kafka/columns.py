"""Messages of the client as columns, one set for each source."""

from collections.abc import Iterable, Sequence
from operator import methodcaller
from typing import Any, overload

import numpy as np
import numpy.typing as npt
from confluent_kafka import Message, TopicPartition

from connectors.log import Headers, Records
from schemas.headers import UNREADABLE
from schemas.positions import Source


def source_of(at: Any) -> Source:
    """The source of a message or of the client's topic partition."""
    return Source(at.topic, at.partition) if isinstance(at, TopicPartition) else Source(at.topic(), at.partition())


def as_columns(messages: Sequence[Any], headers: frozenset[str] | None) -> list[Records]:
    """Records by source, each in offset order. Headers for these topics only; None: for all."""
    if not messages:
        return []
    topics: list[str] = list(map(Message.topic, messages))  # type: ignore[arg-type]
    partitions: list[int] = list(map(Message.partition, messages))  # type: ignore[arg-type]
    names = sorted(set(topics))
    number = {name: index for index, name in enumerate(names)}
    code = np.fromiter(map(number.__getitem__, topics), np.int64, len(topics)) << 32 | np.array(partitions, np.int64)
    found = []
    for of in np.unique(code).tolist():
        source = Source(names[of >> 32], of & 0xFFFFFFFF)
        rows = np.flatnonzero(code == of)
        own = messages if len(rows) == len(messages) else [messages[row] for row in rows.tolist()]
        found.append(_records(source, own, headers is None or source.topic in headers))
    return found


def _records(source: Source, messages: Sequence[Any], headers: bool) -> Records:
    return Records(
        source,
        _integers(map(Message.offset, messages), len(messages)),
        _integers((stamp for _, stamp in map(Message.timestamp, messages)), len(messages)),
        list(map(Message.key, messages)),
        list(map(Message.value, messages)),
        _Headers(messages) if headers else None,
    )


class _Headers(Sequence[Headers]):
    """The headers of messages, parsed only when asked for: 3.6 us each, and most flows need those of dead letters alone."""

    def __init__(self, messages: Sequence[Any]) -> None:
        self._messages = messages

    def __len__(self) -> int:
        return len(self._messages)

    @overload
    def __getitem__(self, at: int) -> Headers: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Headers]: ...
    def __getitem__(self, at: int | slice) -> Headers | Sequence[Headers]:
        return _Headers(self._messages[at]) if isinstance(at, slice) else headers_of(self._messages[at])


_headers = methodcaller("headers")
"""Where a name is not UTF-8, the client sets an exception and returns a list all the same. A call in bytecode does not notice once it is
warm (from the ninth on), and then whoever reads the list ends with a segmentation fault; a call from C code is always checked."""


def headers_of(message: Any) -> Headers:
    """The headers of a message; UNREADABLE alone if they can't be read."""
    try:
        headers: Headers | None = _headers(message)
    except (SystemError, UnicodeDecodeError):  # a name that is not UTF-8
        headers = [UNREADABLE]
        message.set_headers(headers)  # the client keeps a list with holes, and who reads it the next time ends with a segmentation fault
    return headers or []


def _integers(values: Iterable[Any], length: int) -> npt.NDArray[np.int64]:
    return np.fromiter(values, np.int64, length)
