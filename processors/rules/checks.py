"""Compiles a row rule to a question over whole columns: which rows break it, and on which could it not be told?"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from processors.arrays import as_type, filled, flags
from processors.cel.site import expression
from processors.cel.vectors import Kind, kind_of
from processors.flow.plan import Site
from processors.rules.model import Rule
from processors.step import Rows

Ask = Callable[[pa.RecordBatch], tuple[Rows, Rows]]
"""The rows that break it, and those on which it failed; disjoint."""

_NONE: Rows = np.empty(0, dtype=np.int64)
_NEEDS: Mapping[str, tuple[Kind, ...]] = {"between": (Kind.INT, Kind.DOUBLE), "matches": (Kind.STRING,), "length": (Kind.STRING,)}


@dataclass(frozen=True, slots=True)
class Check:
    """A rule, compiled."""

    rule: Rule
    needs: frozenset[str]
    ask: Ask


def compile_rule(rule: Rule, at: Site, columns: Mapping[str, pa.DataType]) -> Check | None:
    """The rule for these columns; None, and a mistake, where it does not fit them."""
    if rule.holds is not None:
        holds = expression(at, "holds", rule.holds, columns)
        return Check(rule, holds.needs, lambda batch: _not_holding(holds.evaluate(batch), len(batch)))
    name = rule.column or ""
    if name not in columns:
        at.mistake("column", f"there is no column `{name}` here", wrong_word=name, valid=columns)
        return None
    kind = kind_of(columns[name])
    wanted = _NEEDS.get(rule.kind, tuple(Kind))
    if kind not in wanted and rule.kind != "not_null":
        at.mistake(rule.kind, f"`{rule.kind}` does not suit `{name}`, which is {kind or columns[name]}")
        return None
    breaks = _breaks(rule, at, columns[name])
    if breaks is None:
        return None
    return Check(rule, frozenset({name}), lambda batch: (np.flatnonzero(breaks(batch.column(name))), _NONE))


def _not_holding(found: Any, rows: int) -> tuple[Rows, Rows]:
    stands = np.ones(rows, dtype=np.bool_)
    stands[found.true] = stands[found.failed] = False
    return np.flatnonzero(stands), found.failed


Breaks = Callable[[pa.Array], npt.NDArray[np.bool_]]


def _breaks(rule: Rule, at: Site, type_: pa.DataType) -> Breaks | None:
    """Which values break the rule; None, and a mistake, where the rule itself is wrong."""
    if rule.in_set is not None:
        return _outside(rule.in_set, at, type_)
    if rule.between is not None:
        low, high = rule.between
        return lambda column: _beyond(column, low, high)
    if rule.matches is not None:
        return _mismatching(rule.matches, at)
    if rule.length is not None:
        shortest, longest = rule.length
        return lambda column: _beyond(pc.utf8_length(column), shortest, longest)
    return lambda column: flags(column.is_null())


def _beyond(column: pa.Array, low: float | None, high: float | None) -> npt.NDArray[np.bool_]:
    """Values below, above or not a number; nulls pass."""
    values = filled(column, 0).to_numpy()
    within = np.ones(len(values), dtype=np.bool_) if low is None else values >= low
    if high is not None:
        within = within & (values <= high)
    if high is None and low is None:
        return ~within
    return ~within if not column.null_count else ~within & flags(column.is_valid())


def _outside(words: tuple[Any, ...], at: Site, type_: pa.DataType) -> Breaks | None:
    value_type = type_.value_type if pa.types.is_dictionary(type_) else type_
    try:
        wanted = pa.array(words, value_type)
    except (pa.ArrowInvalid, pa.ArrowTypeError, TypeError):
        at.mistake("in_set", f"not all of these are {value_type}, as the column is")
        return None
    return lambda column: ~flags(pc.is_in(as_type(column, value_type), value_set=wanted)) & flags(column.is_valid())


def _mismatching(pattern: str, at: Site) -> Breaks | None:
    try:
        pc.match_substring_regex(pa.array([""]), pattern)
    except pa.ArrowInvalid as error:
        at.mistake("matches", f"this is no regular expression: {error}")
        return None
    return lambda column: ~flags(filled(pc.match_substring_regex(column, pattern), True))
