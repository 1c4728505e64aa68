"""How the command line prints: tables for people, JSON for programs, colours only on a terminal, errors as one sentence."""

import contextlib
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from schemas.errors import WeftError

Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]

PIPE_WIDTH = 200  # columns, where no terminal says how many it has


def console(stderr: bool = False) -> Console:
    """Standard output, or standard error, as it is now."""
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() or "COLUMNS" in os.environ else PIPE_WIDTH
    return Console(stderr=stderr, width=width, highlight=False, soft_wrap=not stream.isatty())


def say(sentence: str, style: str = "") -> None:
    """One line for a person, as it is: no markup in it is read."""
    console().print(Text(sentence, style=style))


def complain(error: WeftError) -> None:
    """The sentence of an error and what to do, on standard error."""
    out = console(stderr=True)
    out.print(Text.assemble(("error: ", "bold red"), error.sentence))
    if error.hint:
        out.print(Text.assemble(("what to do: ", "bold"), error.hint))


def as_json(value: Any) -> None:
    """One JSON document on standard output; what JSON has no word for becomes text."""
    options = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY
    sys.stdout.write(orjson.dumps(value, default=str, option=options).decode())


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table for a person. A cell is text, or a `rich.text.Text` with a style."""
    drawn = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        drawn.add_column(column)
    for row in rows:
        drawn.add_row(*(cell if isinstance(cell, Text) else Text(str(cell)) for cell in row))
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
