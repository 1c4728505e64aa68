"""An expectation suite: JSON as Great Expectations writes it, read and checked against the columns that are there."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from processors.flow.plan import Site
from processors.quality.known import Arguments, known

Columns = Mapping[str, pa.DataType]

SEVERITIES = ("critical", "warning", "info")
DROPPED = frozenset({"batch_id", "result_format", "catch_exceptions"})
"""Arguments that Great Expectations may write and that are not a suite's to say here."""
CONDITIONS = frozenset({"row_condition", "condition_parser"})
MAX_EXPECTATIONS = 500

KINDS: Mapping[str, tuple[tuple[type, ...], str]] = {
    "column": ((str,), "a column's name"),
    "columns": ((list,), "a list of columns"),
    "text": ((str,), "text"),
    "texts": ((list,), "a list of texts"),
    "number": ((int, float), "a number"),
    "share": ((int, float), "a number from 0 to 1"),
    "whole": ((int,), "a whole number"),
    "bound": ((int, float, str), "a number or a time"),
    "flag": ((bool,), "true or false"),
    "list": ((list,), "a list"),
    "object": ((dict,), "a map"),
    "one of": ((str,), "a word"),
}
"""What may stand for each kind of argument, and what it is called."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """One expectation, with the columns that it is about; none where it is about rows."""

    type: str
    kwargs: Mapping[str, Any]
    columns: tuple[str, ...]
    severity: str = "critical"
    description: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Suite:
    """Expectations that rows are held against."""

    name: str
    expectations: tuple[Expectation, ...]

    def needs(self, columns: Columns) -> frozenset[str]:
        """The columns that must be there to judge: all of them where the suite speaks of the columns themselves or of none."""
        named = frozenset(column for one in self.expectations for column in one.columns)
        return frozenset(columns) if not named or any("_table_column" in one.type for one in self.expectations) else named


def read(name: str, file: Site, columns: Columns) -> Suite | None:
    """The suite that stands in the file; None, and its mistakes told there, where it is none for these columns."""
    before = len(file.mistakes)
    listed = file.data.get("expectations") if isinstance(file.data, dict) else None
    if not isinstance(listed, list) or not 0 < len(listed) <= MAX_EXPECTATIONS:
        file.mistake("expectations", f"a suite has a list `expectations` of 1 to {MAX_EXPECTATIONS}, as Great Expectations writes it")
        return None
    found = [_expectation(file.below("expectations", index), columns) for index in range(len(listed))]
    sound = tuple(one for one in found if one is not None)
    return Suite(name, sound) if len(file.mistakes) == before else None


def _expectation(at: Site, columns: Columns) -> Expectation | None:
    told = at.data
    if not isinstance(told, dict) or not isinstance(told.get("type"), str) or not isinstance(told.get("kwargs", {}), dict):
        at.mistake((), 'an expectation is a map with `type` and `kwargs`, e.g. {"type": "expect_column_values_to_not_be_null", ...}')
        return None
    type_ = told["type"]
    if type_ not in known():
        at.mistake("type", f"there is no expectation `{type_}` here", wrong_word=type_, valid=known())
        return None
    severity, description = told.get("severity", SEVERITIES[0]), told.get("description")
    if severity not in SEVERITIES:
        at.mistake("severity", f"`{severity}` is no severity", wrong_word=str(severity), valid=SEVERITIES)
    kwargs = _kwargs(at.below("kwargs"), known()[type_], columns)
    about = tuple(_about(kwargs, known()[type_]))
    return Expectation(type_, kwargs, about, str(severity), None if description is None else str(description))


def _kwargs(at: Site, arguments: Arguments, columns: Columns) -> dict[str, Any]:
    """Those that are sound; what is wrong with the others is told."""
    given = {name: value for name, value in (at.data or {}).items() if name not in DROPPED and value is not None}
    kwargs = {}
    for name, value in given.items():
        if name in CONDITIONS:
            at.mistake(name, f"`{name}` is not evaluated here", hint="say `when` at the flow's step: CEL", key=True)
        elif name not in arguments:
            at.mistake(name, f"this expectation has no argument `{name}`", wrong_word=name, valid=arguments, key=True)
        elif _fits(at, name, value, arguments[name], columns):
            kwargs[name] = value
    for name in sorted(name for name, told in arguments.items() if told.get("needed") and name not in given):
        at.mistake((), f"the argument `{name}` is missing here")
    if "column" in kwargs:
        for name in [name for name in kwargs if arguments[name]["is"] == "bound"]:
            kwargs[name] = _bound(at, name, kwargs[name], str(kwargs["column"]), columns)
    return kwargs


def _fits(at: Site, name: str, value: Any, told: Mapping[str, Any], columns: Columns) -> bool:
    """Whether the argument is of its kind."""
    types, called = KINDS[told["is"]]
    words = value if isinstance(value, list) else [value]
    if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
        at.mistake(name, f"`{name}` must be {called}")
        return False
    match told["is"]:
        case "column" | "columns":
            wrong = [str(word) for word in words if str(word) not in columns]
            for word in wrong:
                at.mistake(name, f"there is no column `{word}` here", wrong_word=word, valid=columns)
            return not wrong
        case "share" if isinstance(value, int | float) and not 0 <= value <= 1:
            at.mistake(name, f"`{name}` must be {called}")
        case "texts" if not all(isinstance(word, str) for word in words):
            at.mistake(name, f"`{name}` must be {called}")
        case "one of" if value not in told["of"]:
            at.mistake(name, f"`{value}` can't stand here", wrong_word=str(value), valid=told["of"])
        case _:
            return True
    return False


def _bound(at: Site, name: str, value: Any, column: str, columns: Columns) -> Any:
    """As the column's values can be compared with: times of one that has a time zone get one too (UTC)."""
    type_ = columns[column]
    if not pa.types.is_timestamp(type_):
        if isinstance(value, str) and not pa.types.is_date(type_):
            at.mistake(name, f"`{column}` is {type_}; `{name}` must be a number")
        return value
    try:
        time = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        at.mistake(name, f"`{column}` is a time; `{name}` must be one too", hint="write it like 2013-01-01T05:00:00Z")
        return value
    aware = time if time.tzinfo else time.replace(tzinfo=UTC)
    return (aware if type_.tz else aware.astimezone(UTC).replace(tzinfo=None)).isoformat()


def _about(kwargs: Mapping[str, Any], arguments: Arguments) -> Iterator[str]:
    """The columns that it names."""
    for name, value in kwargs.items():
        if arguments[name]["is"] in ("column", "columns"):
            yield from (value if isinstance(value, list) else (value,))
