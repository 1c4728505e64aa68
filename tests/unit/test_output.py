"""What producers wrote reaches a terminal only as visible text, on every way there."""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.text import Text

from ops.cli.output import as_json, complain, console, say, table, visible, worded
from schemas.errors import WeftError

TITLE = "\x1b]0;mine\x07"
REPAINT = "UA-1\x1b[1A\rproven \x9b31m\u202egnorw\u2066\x7f"
SHOWN = r"UA-1\x1b[1A\rproven \x9b31m\u202egnorw\u2066\x7f"
OBEYED = {*map(chr, range(0x20)), *map(chr, range(0x7F, 0xA0)), *map(chr, range(0x2028, 0x202F)), *map(chr, range(0x2066, 0x206A))}

WAYS: list[Callable[[str], None]] = [
    say,
    lambda text: table(("field", "value"), [("event", text)]),
    lambda text: table(("field", "value"), [("event", Text(text))]),
    lambda text: table((text,), [("event",)]),
    lambda text: complain(WeftError(text, text)),
    lambda text: console().print(Text.assemble((text, "bold"))),
    as_json,
]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "null"),
        (True, "true"),
        (False, "false"),
        (1, "1"),
        (0.5, "0.5"),
        ("None", "None"),
        (datetime(2024, 2, 1, 12, tzinfo=UTC), "2024-02-01T12:00:00Z"),
        (datetime(2024, 2, 1, 12), "2024-02-01T12:00:00"),
        (date(2024, 2, 1), "2024-02-01"),
        ([None], "[None]"),
    ],
)
def test_values_are_worded_as_in_json(value: object, said: str) -> None:
    assert worded(value) == said


@pytest.mark.parametrize("way", WAYS)
def test_nothing_that_a_terminal_obeys_is_printed(way: Callable[[str], None], capsys: pytest.CaptureFixture[str]) -> None:
    way(TITLE + REPAINT)
    printed = "".join(capsys.readouterr())
    assert "UA-1" in printed
    assert not OBEYED & set(printed) - {"\n"}


@pytest.mark.parametrize("way", [WAYS[0], WAYS[1], WAYS[4]])
def test_it_is_shown_as_an_escape(way: Callable[[str], None], capsys: pytest.CaptureFixture[str]) -> None:
    way(REPAINT)
    assert SHOWN in "".join(capsys.readouterr())


def test_newlines_and_tabs_stay_where_lines_are_laid_out_and_nowhere_else() -> None:
    assert visible("a\n\tb") == "a\n\tb"
    assert visible("a\n\tb", one_line=True) == r"a\n\tb"


@given(st.text())
def test_json_says_the_same_in_characters_that_no_terminal_obeys(text: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        printed: list[str] = []
        patch.setattr("sys.stdout", type("Out", (), {"write": staticmethod(printed.append)}))
        as_json({text: text})
    assert json.loads(printed[0]) == {text: text}
    assert not OBEYED & set(printed[0]) - {"\n"}
