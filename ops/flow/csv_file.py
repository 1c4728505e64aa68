"""Reads a CSV file as people make them: UTF-8, a header, one row a line; and its cells as values of a contract."""

import csv
import difflib
import io
import re
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa

from ops.flow.csv_forms import FORM, FORMS, NO_VALUE, NUMBER, is_value, plain, seen, time_of
from processors.flow.plan import nearest
from schemas.codecs.layout import Field, Layout
from schemas.contracts import Contract
from schemas.errors import UsageError

DELIMITERS = ",;\t|"
COLUMN = "column"
"""A field's word for the column that it is filled from, where that is named otherwise."""

MOST_BYTES = 256 << 20  # all of it is held, as cells: ten times as much
MOST_COLUMNS = 2_000
_HEADER_CHARACTERS = 1_000_000

csv.field_size_limit(16 * 1024 * 1024)


@dataclass(frozen=True, slots=True)
class Csv:
    """A CSV file: the names of its columns, and its cells row by row."""

    path: Path
    names: tuple[str, ...]
    lines: tuple[int, ...]  # where each row begins, from 1
    rows: tuple[tuple[str, ...], ...]

    def column(self, name: str) -> list[str]:
        """The cells of one column."""
        at = self.names.index(name)
        return [row[at] for row in self.rows]


def read_csv(path: Path) -> Csv:
    """The whole file.

    Raises:
        UsageError: it can't be read, or is no CSV with a header; the sentence names file and line.
    """
    text = _text(path)
    header = _first_line(path, text)
    delimiter = _delimiter(header)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    lines: list[int] = []
    rows: list[tuple[str, ...]] = []
    names: tuple[str, ...] = ()
    begins = 1
    try:
        for cells in reader:
            if not names:
                names = _header(path, begins, cells)
            elif cells:  # an empty line is none
                if len(cells) != len(names):
                    sentence = f"{path}:{begins}: this row has {len(cells)} cells, the header {len(names)}"
                    raise UsageError(sentence, f'A cell with `{delimiter}` in it needs quotes: "a{delimiter} b".')
                lines.append(begins)
                rows.append(tuple(cell.strip() for cell in cells))
            begins = reader.line_num + 1
    except csv.Error as error:
        raise UsageError(f"{path}:{begins}: this is no CSV: {error}", 'A quote in a quoted cell is written twice: "".') from error
    if not rows:
        raise UsageError(f"{path} has a header and no rows")
    return Csv(path, names, tuple(lines), tuple(rows))


@dataclass(frozen=True, slots=True)
class Filled:
    """A field whose column the file lacks, so that its default stands in every event."""

    field: str
    column: str
    default: Any
    nearest: str  # a column that was left out and may be meant; else empty

    def __str__(self) -> str:
        stands = "null" if self.default is None else f"`{self.default}`"
        meant = f" Did you mean `{self.nearest}`?" if self.nearest else ""
        return f"There is no column `{self.column}`: `{self.field}` is {stands} in every event.{meant}"


@dataclass(frozen=True, slots=True)
class Unmatched:
    """Where header and contract differ."""

    left_out: tuple[str, ...]  # columns that are no field's
    filled: tuple[Filled, ...]

    def as_json(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


def unmatched(path: Path, contract: Contract) -> Unmatched:
    """How the columns of a file that was read fit a contract."""
    text = _text(path)
    header = _first_line(path, text)
    names = _header(path, 1, next(filter(None, csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(header)))))
    said = _said(contract)
    left_out = tuple(name for name in names if name not in said.values())
    filled = []
    for field in Layout.of(contract.schema).fields:
        column = said[field.name]
        if column not in names:
            close = difflib.get_close_matches(column, left_out, n=1, cutoff=0.6)
            filled.append(Filled(field.name, column, field.default, "".join(close)))
    return Unmatched(left_out, tuple(filled))


def _delimiter(header: str) -> str:
    return max(DELIMITERS, key=lambda one: len(next(csv.reader([header], delimiter=one))))


def _text(path: Path) -> str:
    try:
        if (size := path.stat().st_size) > MOST_BYTES:
            raise UsageError(
                f"{path} has {size >> 20:,} MiB, and at most {MOST_BYTES >> 20} can be", "Cut it: head -n 100000 FILE > part.csv"
            )
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} can't be read: {error.strerror}") from error
    if not content.strip():
        raise UsageError(f"{path} is empty")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        written = "UTF-16" if content[:2] in (BOM_UTF16_LE, BOM_UTF16_BE) else "WINDOWS-1252"
        hint = f"Save it as UTF-8, or: iconv -f {written} -t UTF-8 old.csv > new.csv"
        raise UsageError(f"{path}:{line}: this is not UTF-8: byte 0x{content[error.start]:02x}", hint) from error
    if "\0" in text:
        raise UsageError(f"{path} is no text: it has null bytes")
    return text


def _first_line(path: Path, text: str) -> str:
    found = next((line for line in io.StringIO(text) if line.strip()), "")
    if len(found) > _HEADER_CHARACTERS:
        raise UsageError(f"{path}: the first line has {len(found):,} characters, which is no header", "Write the columns' names into it.")
    if not any(delimiter in found for delimiter in DELIMITERS):
        raise UsageError(f"{path} has one column only: `{found.strip()[:60]}`", "Separate cells with commas, semicolons or tabs.")
    return found


def _header(path: Path, line: int, cells: Sequence[str]) -> tuple[str, ...]:
    names = tuple(cell.strip() for cell in cells)
    if len(names) > MOST_COLUMNS:
        raise UsageError(
            f"{path}:{line}: there are {len(names):,} columns, and at most {MOST_COLUMNS:,} can be", "Leave out what tells little."
        )
    for at, name in enumerate(names, 1):
        if not name:
            raise UsageError(f"{path}:{line}: column {at} has no name", "Give every column a name in the first line.")
        if is_value(name):
            raise UsageError(f"{path}:{line}: there is no header: `{name}` is a value", "Write the columns' names into the first line.")
    if twice := sorted({name for name in names if names.count(name) > 1}):
        said = ", ".join(f"`{name}`" for name in twice)
        raise UsageError(f"{path}:{line}: two columns have the name {said}", "Give each a name of its own.")
    return names


def events(found: Csv, contract: Contract) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Each row as an event of the contract, by the line that it begins at; columns that the contract lacks are left out.

    Raises:
        UsageError: a column is missing, or a cell is no value of its field.
    """
    wanted = [(name, *rest) for name, rest in _columns(found, contract).items()]
    for line, row in zip(found.lines, found.rows, strict=True):
        event = {}
        for name, at, read in wanted:
            try:
                event[name] = read(row[at])
            except ValueError as error:
                sentence = f"{found.path}:{line}: column `{found.names[at]}`: {error}"
                form = seen((row[at],)).form
                hint = f'Are all written so? Then {contract.name} must say "{FORM}": "{form}" in that field.' if form else ""
                raise UsageError(sentence, hint or f"{contract.name} says what must stand there.") from error
        yield line, event


def _said(contract: Contract) -> Mapping[str, str]:
    """For each field the column that it is filled from."""
    return {field["name"]: field.get(COLUMN, field["name"]) for field in contract.schema["fields"]}


Read = Callable[[str], Any]


def _columns(found: Csv, contract: Contract) -> dict[str, tuple[int, Read]]:
    """For each field the place of its column and how its cells are read."""
    said = _said(contract)
    forms = {field["name"]: field.get(FORM, "") for field in contract.schema["fields"]}
    wanted = {}
    for field in Layout.of(contract.schema).fields:
        column = said[field.name]
        if column in found.names:
            wanted[field.name] = (found.names.index(column), _reading(field, forms[field.name]))
        elif not field.has_default:
            sentence = f"{found.path} has no column `{column}`, which {contract.name} needs"
            raise UsageError(sentence, nearest(column, found.names))
    return wanted


def _reading(field: Field, form: str) -> Read:
    if form and form not in FORMS:
        raise UsageError(f"`{field.name}` has no form `{form}`", nearest(form, tuple(FORMS)))
    kind, nullable = field.kind.arrow, field.kind.nullable
    if pa.types.is_dictionary(kind):  # an enum
        kind = kind.value_type
    text = bool(pa.types.is_string(kind))
    parse = _parser(kind)

    def read(cell: str) -> Any:
        if cell == "" or (not text and cell in NO_VALUE):
            if nullable:
                return None
            if text:
                return cell
            raise ValueError("there must be a value")
        return parse(plain(form, cell))

    return read


def _parser(kind: pa.DataType) -> Read:
    if pa.types.is_string(kind):
        return str
    if pa.types.is_integer(kind):
        return _whole
    if pa.types.is_floating(kind):
        return _number
    if pa.types.is_boolean(kind):
        return _flag
    if pa.types.is_timestamp(kind):
        return time_of if kind.tz else lambda cell: time_of(cell).replace(tzinfo=None)
    if pa.types.is_date(kind):
        return date.fromisoformat
    return _refused(kind)


def _refused(kind: pa.DataType) -> Read:
    def read(cell: str) -> Any:
        raise ValueError(f"a cell can't be {kind}; send JSON lines or Avro")

    return read


def _whole(cell: str) -> int:
    if not re.fullmatch(r"[-+]?\d+", cell):
        raise ValueError(f"`{cell}` is no whole number")
    return int(cell)


def _number(cell: str) -> float:
    if not NUMBER.fullmatch(cell):
        raise ValueError(f"`{cell}` is no number")
    return float(cell)


def _flag(cell: str) -> bool:
    if cell.lower() not in ("true", "false"):
        raise ValueError(f"`{cell}` is neither true nor false")
    return cell.lower() == "true"
