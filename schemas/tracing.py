"""Which events are traced, and the names of their traces and spans in W3C trace context: all from the position, so that a redo agrees.

A pass of a traced event is one span. The parent of pass 0 is the span that the producer named in its header, if it did; that of a later
pass is the span that wrote the record which waited.
"""

import re
from contextvars import ContextVar
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from schemas.positions import Position, Source

_TRACEPARENT = re.compile(rb"(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?", re.DOTALL)


class Trace(NamedTuple):
    """One pass of a traced event."""

    trace_id: str  # 32 hexadecimal digits
    span_id: str  # of the pass, 16
    parent_id: str = ""  # 16, or none

    def child(self, what: str) -> str:
        """The id of the span of this name below the pass's."""
        return _span_id(f"{self.span_id}/{what}")

    def header(self, what: str) -> str:
        """`traceparent` for whoever comes after the span of this name."""
        return f"00-{self.trace_id}-{self.child(what)}-01"


CALLER: ContextVar[str] = ContextVar("caller", default="")
"""The `traceparent` that a call to another process carries, as it is made for a traced event; "" if it is for none."""

SEND = "send"  # the span that writes an outcome


def sampled(source: Source, offsets: npt.NDArray[np.int64], share: float) -> npt.NDArray[np.bool_]:
    """Which of a partition's offsets are traced: the same ones for everybody who asks for the same share, and for a larger one too."""
    mixed = offsets.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(_seed(source))  # splitmix64
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    below: npt.NDArray[np.bool_] = ((mixed ^ (mixed >> np.uint64(31))) >> np.uint64(11)).astype(np.float64) < share * 2.0**53
    return below


def trace(root: Position, generation: int, number: int, given: bytes | None = None) -> Trace:
    """The trace of one pass; `given` is the `traceparent` that came with the event."""
    found = _TRACEPARENT.fullmatch(given or b"")
    trace_id, parent_id = (found[1].decode(), found[2].decode()) if found else ("", "")
    if not (trace_id.strip("0") and parent_id.strip("0")):
        trace_id, parent_id = blake2b(str(root).encode(), digest_size=16, person=b"weft trace").hexdigest(), ""
    if number:
        parent_id = Trace(trace_id, _pass_id(root, generation, number - 1)).child(SEND)
    return Trace(trace_id, _pass_id(root, generation, number), parent_id)


def _pass_id(root: Position, generation: int, number: int) -> str:
    return _span_id(f"{root}/{generation}/{number}")


def _span_id(text: str) -> str:
    return blake2b(text.encode(), digest_size=8, person=b"weft span").hexdigest()


@lru_cache(maxsize=4_096)
def _seed(source: Source) -> int:
    return int.from_bytes(blake2b(str(source).encode(), digest_size=8, person=b"weft sample").digest(), "big")
