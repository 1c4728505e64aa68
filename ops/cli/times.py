"""Times as options of commands."""

from datetime import UTC, datetime

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
