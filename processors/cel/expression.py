"""A CEL expression, compiled once for given columns and evaluated over batches of them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
import pyarrow as pa

from processors.arrays import filled, flags
from processors.cel import engine
from processors.cel.columns import MistypedError, Typed, UnknownError, compile_node
from processors.cel.library import Program
from processors.cel.parse import OutsideError, parse
from processors.cel.vectors import ARROW, Kind, Mask, kind_of, load, store
from processors.step import Rows

MAX_CHARACTERS = 4_096

Way = Callable[[pa.RecordBatch], tuple[pa.Array, Mask]]


class CelError(Exception):
    """What is wrong with an expression, in one sentence; `wrong_word` is none of the `valid` ones."""

    def __init__(self, sentence: str, wrong_word: str = "", valid: frozenset[str] = frozenset()) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.wrong_word = wrong_word
        self.valid = valid


@dataclass(frozen=True, slots=True)
class Evaluated:
    """An expression over n rows. A failed row (an error, or null where a bool was wanted) is null in `values`."""

    values: pa.Array  # n values
    failed: Rows

    @property
    def true(self) -> Rows:
        """The rows for which it holds."""
        return np.flatnonzero(flags(filled(self.values, False)))


@dataclass(frozen=True, slots=True)
class Expression:
    """One meaning; computed on columns where that can be done, else by the library row by row (`columnar` says which)."""

    source: str
    needs: frozenset[str]
    gives: pa.DataType
    columnar: bool
    _way: Way

    @classmethod
    def compile(cls, source: str, columns: Mapping[str, pa.DataType], wanted: pa.DataType | None = None, *, columnar: bool = True) -> Self:
        """Compile for these columns. `wanted`: bool, int64, float64 or string; None for whichever it gives.

        Raises:
            CelError: it is no CEL, names no column, does not fit the types, or gives something else than wanted.
        """
        program = _program(source)
        kinds = {name: kind_of(type_) for name, type_ in columns.items()}
        needs = engine.names(program)
        if unknown := sorted(needs - kinds.keys()):
            raise CelError(f"there is no column `{unknown[0]}` here", unknown[0], frozenset(columns))
        typed = _typed(source, kinds)
        kind = typed.kind if typed else _tried(program, columns, wanted)
        if kind is Kind.NULL:
            raise CelError(f"`{source}` gives nothing but null")
        gives = ARROW[kind]
        if wanted is not None and gives != wanted:
            raise CelError(f"`{source}` gives {kind}, but {_word(wanted)} is needed here")
        if typed and columnar:
            return cls(source, needs, gives, True, _by_columns(typed, {name: kinds[name] for name in needs}))
        order = sorted(needs)
        return cls(source, needs, gives, False, lambda batch: engine.evaluate(program, batch, order, kind))

    def evaluate(self, batch: pa.RecordBatch) -> Evaluated:
        """Over each row of a batch that has the columns."""
        values, failed = self._way(batch)
        if pa.types.is_boolean(self.gives) and values.null_count:
            failed = flags(values.is_null())
        return Evaluated(values, np.flatnonzero(failed) if failed is not None else np.empty(0, dtype=np.int64))


def _program(source: str) -> Program:
    if len(source) > MAX_CHARACTERS:
        raise CelError(f"this expression has {len(source):,} characters; at most {MAX_CHARACTERS:,} are read")
    try:
        return engine.compile_program(source)
    except ValueError as error:
        raise CelError(f"this is not CEL: {error}") from error


def _typed(source: str, kinds: Mapping[str, Kind | None]) -> Typed | None:
    """The expression on columns; None where columns can't do it."""
    try:
        return compile_node(parse(source), kinds)
    except OutsideError:
        return None
    except MistypedError as error:
        raise CelError(str(error)) from error
    except UnknownError as error:
        raise CelError(f"there is no column `{error}` here", str(error), frozenset(kinds)) from error


def _tried(program: Program, columns: Mapping[str, pa.DataType], wanted: pa.DataType | None) -> Kind:
    kind, wrong = engine.try_on_sample(program, columns)
    if wrong:
        raise CelError(f"`{program.source}` does not fit the types of its columns: {wrong}")
    kind = kind or next((kind for kind, type_ in ARROW.items() if type_ == wanted), None)
    if kind is None:
        raise CelError(f"what `{program.source}` gives can't be told")
    return kind


def _by_columns(typed: Typed, kinds: Mapping[str, Kind | None]) -> Way:
    def way(batch: pa.RecordBatch) -> tuple[pa.Array, Mask]:
        with np.errstate(all="ignore"):
            env = {name: load(batch.column(name), kind) for name, kind in kinds.items() if kind is not None}
            return store(typed.run(env), typed.kind, batch.num_rows)

    return way


def _word(type_: pa.DataType) -> str:
    return str(next((kind for kind, known in ARROW.items() if known == type_), type_))
