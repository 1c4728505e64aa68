"""CEL's arithmetic over vectors: 64-bit integers fail on overflow and on division by zero, doubles follow IEEE 754."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pyarrow.compute as pc

from processors.cel.vectors import INT64, Kind, Vector, either

_DOUBLE: Mapping[str, Callable[[Any, Any], Any]] = {"+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide}


def computed(sign: str, kind: Kind, left: Vector, right: Vector) -> Vector:
    """`+ - * / %` of two vectors of one kind (INT, DOUBLE, or STRING for `+`); null fails."""
    failed = either(left.failed, right.failed, left.null, right.null)
    if kind is Kind.STRING:
        return Vector(pc.binary_join_element_wise(left.values, right.values, ""), None, failed)
    if kind is Kind.DOUBLE:
        return Vector(_DOUBLE[sign](left.values, right.values), None, failed)
    values, lost = _INT[sign](np.asarray(left.values), np.asarray(right.values))
    return Vector(values, None, either(failed, lost) if lost.any() else failed)


def negated(vector: Vector) -> Vector:
    """`-x`. The smallest integer stays as it is: the library wraps here, and here alone."""
    return Vector(np.negative(vector.values), None, either(vector.null, vector.failed))


def _add(a: Any, b: Any) -> tuple[Any, Any]:
    total = a + b
    return total, ((a ^ total) & (b ^ total)) < 0


def _subtract(a: Any, b: Any) -> tuple[Any, Any]:
    rest = a - b
    return rest, ((a ^ b) & (a ^ rest)) < 0


def _multiply(a: Any, b: Any) -> tuple[Any, Any]:
    product = a * b
    wraps = ((a == INT64.min) & (b == -1)) | ((b == INT64.min) & (a == -1))
    divisor = np.where((b == 0) | wraps, 1, b)
    return product, wraps | ((b != 0) & (_quotient(product, divisor) != a))


def _divide(a: Any, b: Any) -> tuple[Any, Any]:
    lost = (b == 0) | ((a == INT64.min) & (b == -1))
    return _quotient(a, np.where(lost, 1, b)), lost


def _remainder(a: Any, b: Any) -> tuple[Any, Any]:
    lost = (b == 0) | ((a == INT64.min) & (b == -1))
    return np.fmod(a, np.where(lost, 1, b)), lost


def _quotient(a: Any, b: Any) -> Any:
    """a / b, cut towards zero."""
    return (a - np.fmod(a, b)) // b


_INT: Mapping[str, Callable[[Any, Any], tuple[Any, Any]]] = {
    "+": _add,
    "-": _subtract,
    "*": _multiply,
    "/": _divide,
    "%": _remainder,
}
