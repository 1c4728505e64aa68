"""Durations as people write them: `500ms`, `30s`, `15m`, `24h`, `7d`."""

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

UNITS_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
PATTERN = r"^[1-9][0-9]{0,8}(ms|s|m|h|d)$"
_DURATION = re.compile(PATTERN)


def seconds(text: Any) -> float:
    """The duration in seconds.

    Raises:
        ValueError: it is not of that form.
    """
    if not isinstance(text, str) or not (found := _DURATION.match(text)):
        raise ValueError(f"a duration is a whole number and one of ms, s, m, h, d, e.g. 15m; not `{text}`")
    unit = found[1]
    return int(text.removesuffix(unit)) * UNITS_MS[unit] / 1_000


def text(duration_s: float) -> str:
    """The shortest way to write it; two durations of equal length are written alike."""
    ms = round(duration_s * 1_000)
    unit = next(unit for unit, size in reversed(UNITS_MS.items()) if ms % size == 0)
    return f"{ms // UNITS_MS[unit]}{unit}"


Duration = Annotated[
    float,
    BeforeValidator(seconds),
    PlainSerializer(text, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": PATTERN, "examples": ["1s", "15m", "24h"]}),
]
"""Seconds, written as text in files."""
