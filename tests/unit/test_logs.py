"""A worker's log: one JSON object a line, and readable while clients say the same thing many times a second."""

import io
import json
import logging
from collections.abc import Callable
from typing import Any

import pytest

from schemas.errors import FailedError
from streams.logs import JsonLines, Sparing, TextLines

KAFKA = "%s [%s] %s"  # every line of librdkafka has this one template
REFUSED = ("FAIL", "rdkafka#consumer-%d", "127.0.0.1:9/bootstrap: Connection refused (after %dms in state CONNECT)")


class Log:
    """A logger on a clock that stands still."""

    def __init__(self) -> None:
        self.now_s, self.stream = 0.0, io.StringIO()
        self.handler = Sparing(self.stream, 10.0, lambda: self.now_s)
        self.handler.setFormatter(JsonLines())

    def say(self, template: str, *arguments: object, name: str = "aiokafka", level: int = logging.WARNING) -> None:
        self.handler.handle(logging.LogRecord(name, level, "", 0, template, arguments, None))

    def refused(self, client: int, ms: int) -> None:
        self.say(KAFKA, REFUSED[0], REFUSED[1] % client, REFUSED[2] % ms, name="weft.kafka", level=logging.ERROR)

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]


@pytest.fixture
def log() -> Log:
    return Log()


def test_a_burst_is_one_line_and_then_one_that_says_how_many_were_left_out(log: Log) -> None:
    for ms in range(50):
        log.refused(client=ms % 3, ms=ms)
    assert len(log.lines()) == 1
    log.now_s = 10.0
    log.say("back again")
    first, last, other = log.lines()
    assert "after 0ms" in first["says"]
    assert "after 49ms" in last["says"]
    assert (first.get("left_out"), last["left_out"], other.get("left_out")) == (None, 48, None)


def test_an_outage_is_one_line_of_a_kind_every_ten_seconds_and_none_is_uncounted(log: Log) -> None:
    for tenth in range(600):
        log.now_s = tenth / 10
        log.say("Unable connect to node with id %d: [Errno 111]", 1)
        log.say("Group Coordinator Request failed")
    log.handler.close()
    lines = log.lines()
    assert len(lines) == 2 * 7
    assert len(lines) + sum(line.get("left_out", 0) for line in lines) == 1_200


def test_lines_that_differ_in_words_are_all_written(log: Log) -> None:
    tell: list[Callable[[], None]] = [
        lambda: log.say("started %s after %.2f s", "f@1.0.0", 0.4),
        lambda: log.say("drained"),
        lambda: log.say("drained", name="weft.worker"),
        lambda: log.say(KAFKA, "FAIL", "rdkafka#producer-1", "Connection refused"),
        lambda: log.say(KAFKA, "FAIL", "rdkafka#producer-1", "Disconnected"),
    ]
    for told in tell:
        told()
    assert len(log.lines()) == len(tell)


def test_what_is_said_seldom_is_never_held_back(log: Log) -> None:
    for turn in range(5):
        log.now_s = turn * 11.0
        log.refused(1, turn)
    assert [line.get("left_out") for line in log.lines()] == [None] * 5


def test_a_line_held_back_alone_left_none_out(log: Log) -> None:
    log.say("once")
    log.say("once")
    log.handler.close()
    assert [line.get("left_out", 0) for line in log.lines()] == [0, 0]


SECRET = "Mrs Smith, card 4111"


def failed(error: Exception) -> logging.LogRecord:
    """A record as `LOGGER.warning("%s failed", error, exc_info=error)` makes it."""
    try:
        try:
            raise KeyError(SECRET)
        except KeyError as before:
            raise error from before
    except Exception as raised:
        return logging.LogRecord(
            "weft.worker", logging.WARNING, "", 0, "%s failed", (raised,), (type(raised), raised, raised.__traceback__)
        )


@pytest.mark.parametrize("lines", [JsonLines, TextLines])
@pytest.mark.parametrize("error", [ValueError(SECRET), ExceptionGroup(SECRET, [ValueError(SECRET)])])
def test_words_that_may_quote_an_event_are_not_logged(lines: type[logging.Formatter], error: Exception) -> None:
    line = lines().format(failed(error))
    assert SECRET not in line
    assert f"{type(error).__name__} failed" in line
    assert "in failed" in line
    assert "KeyError" in line


def test_what_asyncio_shows_of_a_lost_exception_is_not_logged() -> None:
    record = logging.LogRecord("asyncio", logging.ERROR, "", 0, f"Task exception was never retrieved\nexception={SECRET!r}", (), None)
    assert json.loads(JsonLines().format(record))["says"] == "Task exception was never retrieved"


@pytest.mark.parametrize("lines", [JsonLines, TextLines])
def test_weft_s_own_words_are_logged(lines: type[logging.Formatter]) -> None:
    assert "the broker is away failed" in lines().format(failed(FailedError("the broker is away")))


def test_lines_for_people_say_how_many_were_left_out(log: Log) -> None:
    log.handler.setFormatter(TextLines())
    for _ in range(5):
        log.say("it is away")
    log.handler.close()
    first, last = log.stream.getvalue().splitlines()
    assert first.endswith("warning aiokafka: it is away")
    assert last.endswith("it is away (3 like it left out)")
