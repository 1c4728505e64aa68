"""Looks at the columns of a CSV file: of which type each is, whether it may be missing, and what it is good for."""

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from ops.flow.csv_file import Csv
from ops.flow.csv_forms import NO_VALUE, NUMBER, SAID, TEXT, TIME, Seen, plain, seen, time_of, unsure
from schemas.errors import UsageError

Kind = Literal["boolean", "long", "double", "time", "text"]
Role = Literal["id", "time", "number", "category", "left out"]

MOST_WORDS = 60
"""A text column with more different words is no category."""
AVRO_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
TAKEN = frozenset({"decision", "score", "model", "degraded", "rule"})
"""What the flow's steps give: no column of the events may be named so."""
_WHOLE = re.compile(r"[-+]?(0|[1-9]\d*)")  # 00123 is a code and stays text
_INT64 = 2**63
_COMMA = "1.234,5"
_TOLD = 3  # repeated ids that are named
_ID = re.compile(r"(^|_)(id|uuid|guid|key|nr|no|number|ref|reference|code)$")
_TIMES = re.compile(r"(_at|_time|^time|timestamp|datetime|date)")
AVRO: Mapping[Kind, Any] = {
    "boolean": "boolean",
    "long": "long",
    "double": "double",
    "time": {"type": "long", "logicalType": "timestamp-millis"},
    "text": "string",
}


@dataclass(frozen=True, slots=True)
class Column:
    """One column."""

    name: str  # as an Avro field
    header: str  # as in the file
    kind: Kind
    nullable: bool
    role: Role
    why: str = ""  # where it is left out
    words: tuple[str, ...] = ()  # of a category
    cells: Sequence[str] = field(default=(), repr=False)  # plain, where the file has them in a form
    seen: Seen = field(default_factory=Seen)

    @property
    def values(self) -> list[float | None]:
        """The cells of a number column."""
        return [None if cell in NO_VALUE else float(cell) for cell in self.cells]

    @property
    def avro(self) -> Any:
        """The type of the Avro field."""
        return ["null", AVRO[self.kind]] if self.nullable else AVRO[self.kind]


def avro_name(header: str) -> str:
    """The nearest Avro name; a letter with a mark is that letter."""
    plainly = "".join(mark for mark in unicodedata.normalize("NFKD", header.replace("ß", "ss")) if not unicodedata.combining(mark))
    name = re.sub(r"[^A-Za-z0-9]+", "_", plainly).strip("_").lower() or "column"
    return f"c_{name}" if name[0].isdigit() else f"given_{name}" if name in TAKEN else name


def is_name(header: str) -> bool:
    """Whether a column can keep its name."""
    return AVRO_NAME.fullmatch(header) is not None and not is_taken(header)


def is_taken(header: str) -> bool:
    """Whether a step gives a column of that name."""
    return header in TAKEN


def columns_of(found: Csv, names: Mapping[str, str], target: str, forms: Mapping[str, str]) -> list[Column]:
    """All columns but the target, as they stand in the file. `names` gives the Avro name of each header, `forms` what was said of some.

    Raises:
        UsageError: a column has not the form that was said.
    """
    shapes = _shapes(found, target, forms)
    plainly = {header: _plain(found, header, one.form) for header, one in shapes.items()}
    texts = {header for header, one in shapes.items() if one.doubt or forms.get(header) == TEXT}
    kinds: dict[str, Kind] = {header: "text" if header in texts else _kind(cells) for header, cells in plainly.items()}
    identity = _identity(found, kinds)
    moment = _moment(kinds)
    made = []
    for header, kind in kinds.items():
        cells = plainly[header]
        nullable = any(_missing(cell, kind) for cell in cells)
        role, why, words = _role(header, kind, cells, identity, moment)
        made.append(Column(names[header], header, kind, nullable, role, why, words, cells, shapes[header]))
    return made


def _shapes(found: Csv, target: str, forms: Mapping[str, str]) -> dict[str, Seen]:
    """How each column is written. What looks like 1.234 is in doubt where other columns have decimal commas."""
    shapes = {header: seen(found.column(header), forms.get(header, "")) for header in found.names if header != target}
    if any(one.form == _COMMA for one in shapes.values()):
        for header, one in shapes.items():
            pointed = [cell for cell in found.column(header) if "." in cell]
            if header not in forms and one == Seen() and unsure(pointed):
                doubt = f"`{pointed[0]}` may be a whole number, as other columns have decimal commas, and no cell of the column decides"
                shapes[header] = Seen("", doubt, _COMMA)
    return shapes


def _plain(found: Csv, header: str, form: str) -> list[str]:
    made = []
    for line, cell in zip(found.lines, found.column(header), strict=True):
        try:
            made.append(cell if cell in NO_VALUE else plain(form, cell))
        except ValueError as error:
            raise UsageError(f"{found.path}:{line}: column `{header}`: {error}", f"Say another form: {', '.join(SAID)}.") from error
    return made


def _missing(cell: str, kind: Kind) -> bool:
    return cell == "" if kind == "text" else cell in NO_VALUE


def _kind(cells: Sequence[str]) -> Kind:
    there = {cell for cell in cells if cell not in NO_VALUE}
    if not there:
        return "text"
    if all(cell.lower() in ("true", "false") for cell in there):
        return "boolean"
    if all(_WHOLE.fullmatch(cell) and -_INT64 <= int(cell) < _INT64 for cell in there):
        return "long"
    if all(NUMBER.fullmatch(cell) and not re.match(r"[-+]?0\d", cell) for cell in there):
        return "double"
    return "time" if all(_is_time(cell) for cell in there) else "text"


def _is_time(cell: str) -> bool:
    if not TIME.fullmatch(cell):
        return False
    try:
        time_of(cell)
    except ValueError:  # the 31st of February
        return False
    return True


def _identity(found: Csv, kinds: Mapping[str, Kind]) -> str | None:
    """The column that events are called by: one whose values all differ, and whose name says so or which stands first."""
    differ = [
        header
        for header, kind in kinds.items()
        if kind in ("long", "text") and len(set(cells := found.column(header))) == len(cells) and "" not in cells
    ]
    named = [header for header in differ if _ID.search(avro_name(header))]
    return next(iter(named), next((header for header in differ if header == found.names[0]), None))


@dataclass(frozen=True, slots=True)
class Repeated:
    """A column of ids, some of which stand in several rows."""

    column: str
    ids: int  # how many occur more than once
    first: tuple[tuple[str, tuple[int, int]], ...]  # some of them, with the first two lines of each

    def __str__(self) -> str:
        some = ", ".join(f"`{one}` in lines {lines[0]} and {lines[1]}" for one, lines in self.first)
        more = ", ..." if self.ids > len(self.first) else ""
        several = f"{self.ids:,} ids occur" if self.ids > 1 else "1 id occurs"
        return f"`{self.column}`: {several} more than once ({some}{more}), so it is not the event's id."


def repeated(found: Csv, columns: Sequence[Column]) -> Repeated | None:
    """Where no column is the event's id: one that would be, did no value of it repeat."""
    if any(column.role == "id" for column in columns):
        return None
    for column in columns:
        lines: dict[str, list[int]] = {}
        for line, cell in zip(found.lines, column.cells, strict=True):
            lines.setdefault(cell, []).append(line)
        named = column.kind in ("long", "text") and _ID.search(avro_name(column.header))
        if named and "" not in lines and len(column.cells) / 2 < len(lines) < len(column.cells):
            twice = [(one, (at[0], at[1])) for one, at in lines.items() if len(at) > 1]
            return Repeated(column.name, len(twice), tuple(twice[:_TOLD]))
    return None


def _moment(kinds: Mapping[str, Kind]) -> str | None:
    """The column that says when it happened."""
    times = [header for header, kind in kinds.items() if kind == "time"]
    return next((header for header in times if _TIMES.search(avro_name(header))), next(iter(times), None))


def _role(header: str, kind: Kind, cells: Sequence[str], identity: str | None, moment: str | None) -> tuple[Role, str, tuple[str, ...]]:
    """What it is good for; why, where it is left out of the model; and the words of a category."""
    counted = Counter(cell for cell in cells if not _missing(cell, kind))
    if header == identity:
        return "id", "", ()
    if header == moment:
        return "time", "", ()
    if kind == "time":
        return "left out", "a time", ()
    if len(counted) < 2:
        return "left out", "always the same", ()
    if kind in ("long", "text") and len(counted) > len(cells) / 2 and (_ID.search(avro_name(header))):
        return "left out", "an id", ()
    if kind in ("long", "double"):
        return "number", "", ()
    words = tuple(sorted({cell.lower() for cell in counted} if kind == "boolean" else counted))
    if len(words) > MOST_WORDS:
        return "left out", f"{len(words)} different words", ()
    return "category", "", words
