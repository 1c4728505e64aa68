"""Compiles an expression where it stands in a file: what is wrong with it is told there."""

from collections.abc import Mapping

import pyarrow as pa

from processors.cel.expression import CelError, Expression
from processors.flow.plan import Site


def expression(
    at: Site, path: str, source: str, columns: Mapping[str, pa.DataType], wanted: pa.DataType | None = None
) -> Expression | None:
    """The expression that stands at `path` below a site; None, and a mistake there, if it is wrong. `wanted` is bool unless said otherwise."""
    try:
        return Expression.compile(source, columns, wanted or pa.bool_())
    except CelError as error:
        at.mistake(path, error.sentence, wrong_word=error.wrong_word, valid=error.valid)
        return None
