"""Checks that the columns behind the last step make the record that `result` promises."""

from collections.abc import Mapping

import pyarrow as pa

from processors.flow.placing import Placement
from processors.flow.plan import Site
from processors.flow.spec import Result
from schemas.codecs.layout import Layout

_TIME_UNITS = ("s", "ms", "us", "ns")


def check_result(site: Site, told: Result, placement: Placement) -> bool:
    """Whether each field without a default has a column of its name, and each column of a field's name fits the field's type."""
    at = site.below("result")
    contract = at.contract(told.contract, "schema")
    if contract is None:
        return False
    known = len(at.mistakes)
    try:
        fields = Layout.of(contract.parsed).fields
    except ValueError as error:
        at.mistake("schema", str(error))
        return False
    columns = placement.columns
    if placement.whole and columns.keys().isdisjoint(field.name for field in fields):
        at.mistake("schema", f"no step gives any field of {contract.name}: every result would be the same")
    for field in fields:
        wanted = field.kind.arrow
        if field.name not in columns:
            if not field.has_default and placement.whole:
                at.mistake(
                    "schema", f"{contract.name} needs `{field.name}` ({wanted}), and no step gives it", hint=_near(field.name, columns)
                )
        elif not fits(columns[field.name], wanted):
            at.mistake("schema", f"{contract.name} needs `{field.name}` as {wanted}, but here it is {columns[field.name]}")
    return len(at.mistakes) == known


def fits(given: pa.DataType, wanted: pa.DataType) -> bool:
    """Whether every value of one type is one of the other: equal, or a wider number, or a finer clock."""
    if pa.types.is_dictionary(given):
        given = given.value_type
    if given == wanted or pa.types.is_null(given):
        return True
    if pa.types.is_string(wanted):
        return bool(pa.types.is_large_string(given))
    if pa.types.is_signed_integer(given) and pa.types.is_signed_integer(wanted):
        return bool(given.bit_width <= wanted.bit_width)
    if pa.types.is_float64(wanted):
        return bool(pa.types.is_floating(given) or (pa.types.is_integer(given) and given.bit_width <= 32))
    if pa.types.is_timestamp(given) and pa.types.is_timestamp(wanted) and (given.tz is None) == (wanted.tz is None):
        return _TIME_UNITS.index(given.unit) <= _TIME_UNITS.index(wanted.unit)
    return False


def _near(name: str, columns: Mapping[str, pa.DataType]) -> str:
    alike = [column for column in columns if name in column or column in name]
    return f"is it `{alike[0]}`?" if alike else "give it in a step, or give the field a default"
