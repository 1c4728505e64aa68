"""Times as options of commands, and as people read them."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from schemas.errors import UsageError


def moment(text: str | None, option: str) -> datetime | None:
    """ISO 8601, UTC unless it says otherwise.

    Raises:
        UsageError: it is no time.
    """
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"{option} {text} is no time", "Write it like 2013-01-01 or 2013-01-01T05:00:00Z.") from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def utc(ms: int) -> str:
    """Milliseconds since 1970 as ISO 8601, to the second; as they are where no calendar has them."""
    try:
        return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return f"{ms} ms"


def when(ms: int, now_ms: int | None = None) -> str:
    """The same with how long ago that was, or how long it still is."""
    away_s = (ms - (time.time_ns() // 1_000_000 if now_ms is None else now_ms)) / 1000
    return f"{utc(ms)} ({f'in {span(away_s)}' if away_s > 0 else f'{span(-away_s)} ago'})"


def told(rows: Mapping[str, Any]) -> dict[str, Any]:
    """Rows for a person: moments as they are read, without their unit in the name."""
    return {name.removesuffix("_ms"): when(item) if name.endswith("_ms") and item is not None else item for name, item in rows.items()}


def span(seconds: float) -> str:
    """A span in its largest unit."""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"
