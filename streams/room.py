"""How large a record may be: what its topic takes, against what its key, value and headers come to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from connectors.log import Headers, Outgoing
from processors.step import Rows
from schemas.headers import headers_size

UNKNOWN_BYTES = 1_048_588
"""What a topic takes unless it says otherwise."""
STAMPS_BYTES = 32_768
"""The headers of an outcome are below this: their texts are cut, see stamps.py."""

_RECORD_BYTES = 128  # of a batch with one record, beside what is in it
_HEADER_BYTES = 12  # the lengths of a name and a value


@dataclass(frozen=True, slots=True)
class Rooms:
    """The largest record of each topic, its overhead counted."""

    known: Mapping[str, int] = field(default_factory=dict)

    def of(self, topic: str) -> int:
        """In bytes."""
        return self.known.get(topic, UNKNOWN_BYTES)

    def without(self, outgoing: Outgoing) -> Rows:
        """The rows of records that are too large for their topic. Nearly always none, and then headers are not looked at."""
        most = self.of(outgoing.topic)
        if _longest(outgoing.keys) + _longest(outgoing.values) + STAMPS_BYTES <= most:
            return np.empty(0, np.int64)
        headers: Sequence[Headers] = [()] * len(outgoing.values) if outgoing.headers is None else outgoing.headers
        rows = zip(outgoing.keys, outgoing.values, headers, strict=True)
        return np.flatnonzero([size(*row) > most for row in rows])


def size(key: bytes | None, value: bytes | None, headers: Headers) -> int:
    """What a record comes to on its own, before it is compressed."""
    return _RECORD_BYTES + len(key or b"") + len(value or b"") + headers_size(headers) + _HEADER_BYTES * len(headers)


def _longest(parts: Sequence[bytes | None]) -> int:
    return max(map(len, filter(None, parts)), default=0)
