"""Compiles an expression where it stands in a file: what is wrong with it is told there."""

from collections.abc import Mapping
from typing import Final

import pyarrow as pa

from processors.cel.expression import CelError, Expression
from processors.flow.plan import Site

_STAND_INS: Final[Mapping[pa.DataType, str]] = {pa.bool_(): "false", pa.int64(): "0", pa.float64(): "0.0", pa.string(): "''"}


def expression(at: Site, path: str, source: str, columns: Mapping[str, pa.DataType], wanted: pa.DataType | None = None) -> Expression:
    """The expression at `path` below a site. If it is wrong: a mistake there, and a stand-in, so that the rest can be checked too.

    `wanted`: bool (unless said otherwise), int64, float64 or string.
    """
    wanted = wanted or pa.bool_()
    try:
        return Expression.compile(source, columns, wanted)
    except CelError as error:
        at.mistake(path, error.sentence, wrong_word=error.wrong_word, valid=error.valid)
        return Expression.compile(_STAND_INS[wanted], columns, wanted)
