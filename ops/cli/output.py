"""How the command line prints: tables for people, JSON for programs, colours only on a terminal, errors as one sentence.

What producers wrote is printed with their control characters made visible: a terminal would obey them.
"""

import contextlib
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderableType, RenderHook, RenderResult
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from schemas.errors import WeftError

Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]

PIPE_WIDTH = 200  # columns, where no terminal says how many it has

_OBEYED = "\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff"
"""Control characters (C0 but newline and tab, C1), what turns the direction or ends a line, halves of surrogate pairs."""
_LAID_OUT = re.compile(f"[{_OBEYED}]")
_ONE_LINE = re.compile(f"[{_OBEYED}\t\n]")


def visible(text: str, one_line: bool = False) -> str:
    """The text with what a terminal would obey written as escapes; newlines and tabs too where it is `one_line`."""
    return (_ONE_LINE if one_line else _LAID_OUT).sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    number = ord(found[0])
    return {9: r"\t", 10: r"\n", 13: r"\r"}.get(number) or (f"\\x{number:02x}" if number < 256 else f"\\u{number:04x}")


class _Visible:
    """Whatever is printed, its text made visible; what the console itself says to the terminal is left."""

    def __init__(self, inner: RenderableType) -> None:
        self._inner = inner

    def __rich_console__(self, on: Console, options: ConsoleOptions) -> RenderResult:
        for segment in on.render(self._inner, options):
            yield segment if segment.control else Segment(visible(segment.text), segment.style)


class _Shield(RenderHook):
    """Stands before everything that a console prints."""

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        return [_Visible(one) for one in renderables]


def console(stderr: bool = False) -> Console:
    """Standard output, or standard error, as it is now."""
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() or "COLUMNS" in os.environ else PIPE_WIDTH
    made = Console(stderr=stderr, width=width, highlight=False, soft_wrap=not stream.isatty())
    made.push_render_hook(_Shield())
    return made


def worded(value: object) -> str:
    """One value for a person: null, true and false as in JSON, moments as in ISO 8601."""
    match value:
        case None | bool():
            return {None: "null", True: "true", False: "false"}[value]
        case datetime():
            return value.isoformat().removesuffix("+00:00") + ("Z" if value.utcoffset() == timedelta() else "")
        case _:
            return str(value)


def say(sentence: str, style: str = "") -> None:
    """One line for a person, as it is: no markup in it is read."""
    console().print(Text(visible(sentence), style=style))


def complain(error: WeftError) -> None:
    """The sentence of an error and what to do, on standard error."""
    out = console(stderr=True)
    out.print(Text.assemble(("error: ", "bold red"), visible(error.sentence)))
    if error.hint:
        out.print(Text.assemble(("what to do: ", "bold"), visible(error.hint)))


def as_json(value: Any) -> None:
    """One JSON document on standard output; what JSON has no word for becomes text."""
    sys.stdout.write(json_text(value, orjson.OPT_INDENT_2))


def json_text(value: Any, options: int = 0) -> str:
    """A line of JSON, and what JSON would leave raw for a terminal to obey (DEL, C1, direction) escaped as it allows."""
    options |= orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY
    return _LAID_OUT.sub(lambda found: f"\\u{ord(found[0]):04x}", orjson.dumps(value, default=str, option=options).decode())


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table for a person. A cell is text, or a `rich.text.Text` with a style."""
    drawn = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        drawn.add_column(column)
    for row in rows:
        drawn.add_row(*(cell if isinstance(cell, Text) else Text(visible(worded(cell))) for cell in row))
    console().print(drawn)


def listing(rows: Sequence[Mapping[str, object]], json: bool, empty: str) -> None:
    """Rows of one shape as JSON or as a table; `empty` is said where there are none."""
    if json:
        as_json(list(rows))
    elif rows:
        table(list(rows[0]), [list(row.values()) for row in rows])
    else:
        say(empty)


class Bars:
    """Progress bars on standard error, one for each thing that is being done. Calling it tells how far that thing is."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, what: str, done: int, total: int) -> None:
        """`done` of `total` of `what`."""
        if what not in self._tasks:
            self._tasks[what] = self._progress.add_task(what, total=total)
        self._progress.update(self._tasks[what], completed=done, total=total)


@contextlib.contextmanager
def bars() -> Iterator[Bars]:
    """Progress bars, shown only on a terminal."""
    out = console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=out, disable=not out.is_terminal) as progress:
        yield Bars(progress)
