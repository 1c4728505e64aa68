"""ISO 8601 text as the whole numbers that Avro writes for dates and times; nothing is rounded."""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

_UNITS: Final = {"millis": 1_000, "micros": 1_000_000, "nanos": 1_000_000_000}
_FINER: Final = re.compile(r"[.,][0-9]{7}")  # than a microsecond: Python would cut it off
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

DAYS: Final = {"time-millis": 86_400_000, "time-micros": 86_400_000_000}
"""How long a day is, in the unit of a time of day."""


def parser(logical: str) -> Callable[[str], int] | None:
    """How text of a logical type is read (raises ValueError); None if the type is no date or time."""
    if logical == "date":
        return lambda text: (date.fromisoformat(text) - _EPOCH.date()).days
    family, _, unit = logical.rpartition("-")
    parse = {"time": _time, "timestamp": _timestamp, "local-timestamp": _local}.get(family)
    if parse is None or unit not in _UNITS:
        return None
    return lambda text: parse(_clear(text), _UNITS[unit])


def _clear(text: str) -> str:
    """Text that Python reads whole."""
    if _FINER.search(text):
        raise ValueError("more than six digits behind the second; write a number")
    return text


def _time(text: str, per_second: int) -> int:
    found = time.fromisoformat(text)
    if found.tzinfo is not None:
        raise ValueError("it has an offset")
    seconds = found.hour * 3600 + found.minute * 60 + found.second
    return seconds * per_second + _exactly(found.microsecond, per_second)


def _timestamp(text: str, per_second: int) -> int:
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError("it has no offset; Z is UTC")
    return _since(found - _EPOCH, per_second)


def _local(text: str, per_second: int) -> int:
    found = datetime.fromisoformat(text)
    if found.tzinfo is not None:
        raise ValueError("it has an offset")
    return _since(found.replace(tzinfo=UTC) - _EPOCH, per_second)


def _since(span: timedelta, per_second: int) -> int:
    return (span.days * 86_400 + span.seconds) * per_second + _exactly(span.microseconds, per_second)


def _exactly(micros: int, per_second: int) -> int:
    """Microseconds in the unit, none lost."""
    parts = micros * per_second
    if parts % 1_000_000:
        raise ValueError("it is more exact than the type")
    return parts // 1_000_000
