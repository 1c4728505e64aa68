"""How a worker logs, on standard error: JSON lines, as for the slot's log file, or lines for people.

It says what happened, never what was in the data: of an exception that is not of Weft, whose words may quote an event, the kind and the
place.

In an outage the clients say the same thing many times a second. Of lines that differ in numbers alone, one a while is written; the next one
says how many were left out.
"""

import json
import logging
import re
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TextIO

from schemas.errors import WeftError

EVERY_S = 30.0  # one line of a kind; in an outage six kinds are said ten times a second each
_NUMBERS = re.compile(r"\d+")  # ports, node ids, milliseconds, the client's number


class JsonLines(logging.Formatter):
    """One object per record, with its traceback if it has one, and how many like it were left out."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z"
        line: dict[str, object] = {"at": at, "level": record.levelname.lower(), "logger": record.name, "says": said(record)}
        if left_out := getattr(record, "left_out", 0):
            line["left_out"] = left_out
        if record.exc_info and record.exc_info[1] is not None:
            line["traceback"] = raised(record.exc_info[1])
        return json.dumps(line, ensure_ascii=False)


class TextLines(logging.Formatter):
    """The same for people, in local time; a traceback on lines of its own."""

    def format(self, record: logging.LogRecord) -> str:
        """The lines."""
        left_out = f" ({count} like it left out)" if (count := getattr(record, "left_out", 0)) else ""
        line = f"{self.formatTime(record, '%H:%M:%S')} {record.levelname.lower():7} {record.name}: {said(record)}{left_out}"
        return f"{line}\n{raised(record.exc_info[1])}" if record.exc_info and record.exc_info[1] is not None else line


FORMATS: Mapping[str, type[logging.Formatter]] = {"json": JsonLines, "text": TextLines}


def said(record: logging.LogRecord) -> str:
    """What a record says; of exceptions of others, their kind."""
    if record.name == "asyncio":  # it shows what was raised in a line of its own
        return str(record.msg).partition("\n")[0]
    if isinstance(record.args, tuple) and any(isinstance(given, BaseException) for given in record.args):
        return str(record.msg) % tuple(named(given) if isinstance(given, BaseException) else given for given in record.args)
    return record.getMessage()


def named(error: BaseException) -> str:
    """An exception in a log: the words of Weft's own, the kind of others."""
    return str(error) if isinstance(error, WeftError) else type(error).__name__


def raised(error: BaseException) -> str:
    """Where an exception was raised, and those that led to it."""
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    parts = [raised(before), "which led to:"] if before is not None else []
    inner = [raised(one) for one in error.exceptions] if isinstance(error, BaseExceptionGroup) else []
    return "\n".join([*parts, *inner, "".join(traceback.format_tb(error.__traceback__)) + named(error)])


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
        name = record.name, _NUMBERS.sub("#", said(record))
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


def log_to_stderr(wanted: str = "auto") -> None:
    """Weft's own lines from INFO on, those of libraries from WARNING on. `wanted`: a name of FORMATS, or `auto`."""
    handler = Sparing(sys.stderr)
    handler.setFormatter(FORMATS.get(wanted, TextLines if sys.stderr.isatty() else JsonLines)())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("weft").setLevel(logging.INFO)
