"""A span that has ended, and the port of whoever takes it: a file, a collector, or the in-memory twin."""

from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import NamedTuple, Protocol

Value = str | int | float | bool


class Kind(IntEnum):
    """What a span is to others; OTLP's numbers."""

    INTERNAL = 1  # nobody else's
    CLIENT = 3  # a request that waits for its answer
    PRODUCER = 4  # a message is written
    CONSUMER = 5  # a message is processed


class Span(NamedTuple):
    """One operation. Ids are hexadecimal, times are nanoseconds since 1970."""

    name: str
    kind: Kind
    trace_id: str  # 32 digits
    span_id: str  # 16 digits
    parent_id: str  # 16 digits, or none
    start_ns: int
    end_ns: int
    attributes: Mapping[str, Value]
    link_id: str = ""  # a span of the same trace that it follows from
    error: str = ""  # a code, if it failed


SCOPE = "weft"
Resource = Mapping[str, str]
"""Who made the spans: `service.name` and so on."""


class Exporter(Protocol):
    """Takes spans, in a thread of its own."""

    def export(self, spans: Sequence[Span]) -> None:
        """Hand them over; may wait.

        Raises:
            UnreachableError: they can't be: the disk is full, the collector is not there.
        """

    def close(self) -> None:
        """Let go of file or connection."""
