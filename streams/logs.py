"""How a worker logs: one JSON object a line on standard error, for the slot's log file. Says what happened, never what was in the data.

In an outage the clients say the same thing many times a second. Of lines that differ in numbers alone, one a while is written; the next one
says how many were left out.
"""

import json
import logging
import re
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TextIO

EVERY_S = 30.0  # one line of a kind; in an outage six kinds are said ten times a second each
_NUMBERS = re.compile(r"\d+")  # ports, node ids, milliseconds, the client's number


class JsonLines(logging.Formatter):
    """One line per record, with its traceback if it has one, and how many like it were left out."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z"
        line: dict[str, object] = {"at": at, "level": record.levelname.lower(), "logger": record.name, "says": record.getMessage()}
        if left_out := getattr(record, "left_out", 0):
            line["left_out"] = left_out
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


@dataclass(slots=True)
class _Kind:
    """Lines that differ in numbers alone."""

    until_s: float  # no other one is written before
    last: logging.LogRecord | None = None  # of those not written
    left_out: int = 0


class Sparing(logging.StreamHandler[TextIO]):
    """Writes one line of a kind every `every_s`; the last of those held back with the first line of any kind after that, or at the end."""

    def __init__(self, stream: TextIO, every_s: float = EVERY_S, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__(stream)
        self._every_s, self._now = every_s, now
        self._kinds: dict[tuple[str, str], _Kind] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Write it, or count it. The handler's lock is held."""
        now_s = self._now()
        self._tell(now_s)
        name = record.name, _NUMBERS.sub("#", record.getMessage())
        kind = self._kinds.get(name)
        if kind is None:
            self._kinds[name] = _Kind(now_s + self._every_s)
            super().emit(record)
            return
        kind.left_out += kind.last is not None
        kind.last = record

    def close(self) -> None:
        """Write what was held back."""
        self.acquire()
        try:
            self._tell(float("inf"))
            self._kinds.clear()
        finally:
            self.release()
        super().close()

    def _tell(self, now_s: float) -> None:
        """Whose time is over, says how often it was not heard; a kind that said nothing more is forgotten."""
        for name, kind in [(name, kind) for name, kind in self._kinds.items() if kind.until_s <= now_s]:
            del self._kinds[name]
            if kind.last is not None:
                kind.last.left_out = kind.left_out
                self._kinds[name] = _Kind(now_s + self._every_s)
                super().emit(kind.last)


def log_to_stderr() -> None:
    """Weft's own lines from INFO on, those of libraries from WARNING on."""
    handler = Sparing(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("weft").setLevel(logging.INFO)
