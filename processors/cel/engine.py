"""CEL by its library: compiles, explains refusals, evaluates row by row."""

import datetime as dt
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from processors.cel.library import Program, compile_source
from processors.cel.vectors import ARROW, INT64, Kind, Mask, kind_of, unreadable

_BOUND = re.compile(r"\.\s*(?:all|exists|exists_one|map|filter)\s*\(\s*([A-Za-z_]\w*)\s*,")
_PLACE = re.compile(r"<input>:\d+:(\d+): (?:Syntax error: )?(.*)")
_MOMENT = dt.datetime(2013, 1, 1, tzinfo=dt.UTC)
_PYTHON: Mapping[Kind, type] = {Kind.BOOL: bool, Kind.INT: int, Kind.DOUBLE: float, Kind.STRING: str, Kind.TIME: dt.datetime}


def compile_program(source: str) -> Program:
    """Compile.

    Raises:
        ValueError: it is no CEL; the message is one line and names the character.
    """
    try:
        return compile_source(source)
    except ValueError as error:
        place = _PLACE.search(str(error))
        raise ValueError(f"{place[2]} at character {place[1]}" if place else str(error).splitlines()[0]) from error


def names(program: Program) -> frozenset[str]:
    """The names that must be given: all but those bound by a macro."""
    return frozenset(program.variables()) - frozenset(_BOUND.findall(program.source))


def constant(source: str) -> Any:
    """The value of an expression without columns.

    Raises:
        ValueError: it has none.
    """
    try:
        return compile_source(source).execute({})
    except (TypeError, RuntimeError, ValueError, ArithmeticError, LookupError) as error:
        raise ValueError(_first_line(error)) from error


def try_on_sample(program: Program, columns: Mapping[str, pa.DataType]) -> tuple[Kind | None, str]:
    """What the program gives on an invented row without nulls (None: that can't be told), and what its types have wrong, if anything."""
    try:
        value = program.execute({name: _sample(columns[name]) for name in names(program)})
    except (TypeError, RuntimeError) as error:
        return None, _first_line(error)
    except (ValueError, ArithmeticError, LookupError):  # a value of the invented row did not suit
        return None, ""
    return next((kind for kind, type_ in _PYTHON.items() if type(value) is type_), None), ""


def evaluate(program: Program, batch: pa.RecordBatch, needs: Sequence[str], kind: Kind) -> tuple[pa.Array, Mask]:
    """The program over each row: an array null where the value is null or failed, and the failed rows."""
    wanted, values = _PYTHON[kind], list[Any]()
    failed = np.zeros(batch.num_rows, dtype=np.bool_)
    for row, context in enumerate(_contexts(batch, needs)):
        try:
            value = program.execute(context)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException:  # a panic of the library is no Exception
            value, failed[row] = None, True
        if value is not None and not _is(value, wanted):
            value, failed[row] = None, True
        values.append(value)
    return pa.array(values, type=ARROW[kind]), failed if failed.any() else None


def _contexts(batch: pa.RecordBatch, needs: Sequence[str]) -> Iterator[dict[str, Any]]:
    """A row's values by name. One that CEL can't hold is left out, so that it fails only where it is used."""
    columns, missing = [], {}
    for name in needs:
        column = batch.column(name)
        if kind_of(column.type) is Kind.TIME and (out := unreadable(column)) is not None:
            missing[name] = out
            column = pa.array(np.where(out, 0, column.view(pa.int64()).fill_null(0)), mask=np.asarray(column.is_null())).cast(column.type)
        columns.append(column.to_pylist())
    if not columns:
        yield from ({} for _ in range(batch.num_rows))
    for row, values in enumerate(zip(*columns, strict=True)):
        context = dict(zip(needs, values, strict=True))
        for name, out in missing.items():
            if out[row]:
                del context[name]
        yield context


def _is(value: Any, wanted: type) -> bool:
    """Whether a value is of the type, and within 64 bits if an integer (the library has unsigned ones too)."""
    if isinstance(value, int) and not INT64.min <= value <= INT64.max:
        return False
    return type(value) is wanted


def _sample(type_: pa.DataType) -> Any:
    """An invented value of a type; None where CEL knows no such type."""
    if kind := kind_of(type_):
        return {Kind.BOOL: True, Kind.INT: 1, Kind.DOUBLE: 1.0, Kind.STRING: "a", Kind.TIME: _MOMENT}[kind]
    if pa.types.is_binary(type_) or pa.types.is_large_binary(type_):
        return b"a"
    if pa.types.is_map(type_):
        return {"a": _sample(type_.item_type)}
    if pa.types.is_list(type_) or pa.types.is_large_list(type_):
        return [_sample(type_.value_type)]
    if pa.types.is_struct(type_):
        return {field.name: _sample(field.type) for field in type_}
    return None


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [""])[0]
