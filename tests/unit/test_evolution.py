"""Schemas that change: columns are made as the reference makes them, and what the rules allow can be read."""

import io
import math
from typing import Any

import pyarrow as pa
import pytest
from fastavro import parse_schema, schemaless_reader, schemaless_writer
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.codecs.frame import Frame
from schemas.codecs.resolution import _plain, _Resolving, reference_schema, resolving
from schemas.compatibility import Break, breaks
from schemas.contracts import Contract
from schemas.vocabulary import Reason
from tests.unit.avro_schemas import INT, LONG, TEXT

Kind = tuple[Any, st.SearchStrategy[Any], Any]
"""A type, its values, and a default."""

ENUM = {"type": "enum", "name": "E", "symbols": ["A", "B", "C"]}
KINDS: dict[str, Kind] = {
    "int": ("int", INT, 3),
    "long": ("long", LONG, -4),
    "float": ("float", st.floats(width=32, allow_nan=False, allow_infinity=False), 0.5),
    "double": ("double", st.floats(allow_nan=False, allow_infinity=False), 1.5),
    "string": ("string", TEXT, "é"),
    "bytes": ("bytes", st.binary(max_size=3), "\u00e9"),
    "boolean": ("boolean", st.booleans(), True),
    "moment": ({"type": "long", "logicalType": "timestamp-millis"}, st.integers(0, 2**40), 7),
    "enum": (ENUM, st.sampled_from("ABC"), "B"),
    "fewer": (ENUM | {"symbols": ["A", "B"]}, st.sampled_from("AB"), "B"),
    "other": (ENUM | {"symbols": ["B", "A"], "default": "A"}, st.sampled_from("AB"), "A"),
    "array": ({"type": "array", "items": "int"}, st.lists(INT, max_size=2), [1]),
    "wide array": ({"type": "array", "items": "long"}, st.lists(LONG, max_size=2), []),
    "map": ({"type": "map", "values": "string"}, st.dictionaries(TEXT, TEXT, max_size=2), {}),
    "record": ({"type": "record", "name": "R", "fields": [{"name": "x", "type": "int"}]}, st.fixed_dictionaries({"x": INT}), {"x": 1}),
    "wide record": ({"type": "record", "name": "R", "fields": [{"name": "x", "type": "long"}, {"name": "y", "type": "int", "default": 2}]},
                    st.fixed_dictionaries({"x": LONG, "y": INT}), {"x": 1, "y": 1}),
    "other record": ({"type": "record", "name": "S", "fields": [{"name": "x", "type": "int"}]},
                     st.fixed_dictionaries({"x": INT}), {"x": 1}),
}  # fmt: skip
UNIONS: dict[str, tuple[Any, st.SearchStrategy[Any]]] = {
    "of two": (["int", "string"], INT | TEXT),
    "of three": (["null", "boolean", "string"], st.none() | st.booleans() | TEXT),
}


@st.composite
def kinds(draw: st.DrawFn, at: int) -> Kind:
    """A type; named ones get a name of their own, nullable ones a null first."""
    kind, values, default = KINDS[draw(st.sampled_from(sorted(KINDS)))]
    if isinstance(kind, dict) and "name" in kind:
        kind = kind | {"name": f"{kind['name']}{at}"}
    return (["null", kind], st.none() | values, None) if draw(st.booleans()) else (kind, values, default)


@st.composite
def evolutions(draw: st.DrawFn) -> tuple[Contract, Contract, list[Any]]:
    """A writer, a reader, and some of the writer's datums."""
    theirs, ours, values = [], [], {}
    for at in range(draw(st.integers(1, 4))):
        name = f"f{at}"
        kind, datums, _ = draw(kinds(at))
        if draw(st.integers(0, 5)) == 0:
            kind, datums = UNIONS[draw(st.sampled_from(sorted(UNIONS)))]
        theirs.append({"name": name, "type": kind})
        values[name] = datums
        match draw(st.sampled_from(["same", "other", "renamed", "gone"])):
            case "same" if not (isinstance(kind, list) and (len(kind) > 2 or kind[0] != "null")):
                ours.append({"name": name, "type": kind})
            case "other" | "same":
                ours.append({"name": name, "type": draw(kinds(at))[0]})
            case "renamed":
                ours.append({"name": f"g{at}", "aliases": [name], "type": draw(kinds(at))[0]})
    for at in range(draw(st.integers(0 if ours else 1, 2))):
        kind, _, default = draw(kinds(10 + at))
        ours.append({"name": f"new{at}", "type": kind, "default": default})
    made = [Contract.of({"type": "record", "name": "T", "fields": fields}) for fields in (theirs, draw(st.permutations(ours)))]
    return made[0], made[1], draw(st.lists(st.fixed_dictionaries(values), min_size=1, max_size=5))


def written(schema: Any, datum: Any) -> bytes:
    out = io.BytesIO()
    schemaless_writer(out, parse_schema(_plain(schema)), datum)
    return out.getvalue()


def reference(writer: Contract, reader: Contract, value: bytes) -> Any:
    """What the reference alone makes of a value; None if it refuses."""
    try:
        return schemaless_reader(io.BytesIO(value), parse_schema(_plain(writer.schema)), reference_schema(reader.schema))
    except Exception:
        return None


def near(one: Any, other: Any) -> bool:
    """Equal, or as near as a float of 32 bits comes to a number."""
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-6)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(near(one[key], other[key]) for key in one)
    return bool(one == other)


@settings(deadline=None, max_examples=150)
@given(evolutions())
def test_columns_are_what_the_reference_makes_of_each_value(case: tuple[Contract, Contract, list[Any]]) -> None:
    writer, reader, datums = case
    values = [written(writer.schema, datum) for datum in datums]
    found = resolving(writer, reader, Frame()).decode(values)
    slow = _Resolving(writer, reader, Frame()).decode(values)
    assert found.good.tolist() == slow.good.tolist()
    assert near_rows(found.columns, slow.columns)
    wanted = [reference(writer, reader, value) for value in values]
    assert found.good.tolist() == [row for row, datum in enumerate(wanted) if datum is not None]
    assert {bad.reason for bad in found.bad} <= {Reason.WRONG_TYPE, Reason.INVALID_UTF8}
    if any(datum is None for datum in wanted):
        assert breaks(writer, reader) or "bytes" in writer.text  # bytes may be read as text, and need not be it


def near_rows(one: pa.RecordBatch, other: pa.RecordBatch) -> bool:
    return one.schema.equals(other.schema) and all(map(near, numbered(one), numbered(other)))


def numbered(columns: pa.RecordBatch) -> list[dict[str, Any]]:
    """The rows, with moments as numbers: Arrow has some that Python has not."""
    plain = [column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column for column in columns.columns]
    rows: list[dict[str, Any]] = pa.RecordBatch.from_arrays(plain, names=columns.schema.names).to_pylist()
    return rows


def record(*fields: dict[str, Any]) -> Contract:
    return Contract.of({"type": "record", "name": "T", "fields": list(fields)})


NODE = {"type": "record", "name": "Node", "fields": [{"name": "next", "type": ["null", "Node"]}]}


def test_a_writers_fields_that_are_no_columns_are_passed_over_however_deep_they_go() -> None:
    writer = record({"name": "n", "type": "int"}, {"name": "node", "type": NODE}, {"name": "u", "type": ["int", "string"]})
    reader = record({"name": "n", "type": "long"}, {"name": "u", "type": "string", "default": "?"})
    values = [b"\x02" + b"\x02" * deep + b"\x00" + b"\x02\x02x" for deep in (1, 100, 100_000)]
    decoded = resolving(writer, reader, Frame()).decode(values)
    assert decoded.columns.to_pylist() == [{"n": 1, "u": "x"}] * 2
    assert [(bad.row, bad.reason) for bad in decoded.bad] == [(2, Reason.WRONG_TYPE)]


def test_a_writer_by_which_few_bytes_are_any_number_of_items_is_refused() -> None:
    empty = {"type": "array", "items": {"type": "record", "name": "E", "fields": [{"name": "x", "type": "null"}]}}
    writer = record({"name": "n", "type": "int"}, {"name": "u", "type": ["int", "string"]}, {"name": "a", "type": empty})
    with pytest.raises(ValueError, match="no bytes"):
        resolving(writer, record({"name": "n", "type": "int"}), Frame())


def test_a_symbol_that_the_reader_lacks_is_its_default_also_within_an_array() -> None:
    def array(**enum: Any) -> Contract:
        return record({"name": "a", "type": {"type": "array", "items": {"type": "enum", "name": "E", **enum}}})

    writer, reader = array(symbols=["A", "B"]), array(symbols=["A"], default="A")
    assert breaks(writer, reader) == []
    decoded = resolving(writer, reader, Frame()).decode([written(writer.schema, {"a": ["B", "A"]})])
    assert decoded.columns.to_pylist() == [{"a": ["A", "A"]}]


def test_milliseconds_inside_an_array_are_not_read_as_microseconds_either() -> None:
    writer, reader = (
        record({"name": "a", "type": {"type": "array", "items": {"type": "long", "logicalType": f"timestamp-{unit}"}}})
        for unit in ("millis", "micros")
    )
    assert breaks(writer, reader) == [Break("logical", "a[]", "long timestamp-millis", "long timestamp-micros")]
    with pytest.raises(ValueError, match="timestamp-micros"):
        resolving(writer, reader, Frame())


INNER = {"type": "record", "name": "R", "fields": [{"name": "x", "type": "int"}]}


@pytest.mark.parametrize(
    ("writer", "reader", "wanted"),
    [
        ("int", "double", None),
        ("double", "int", Break("type", "f", "double", "int")),
        ("string", "bytes", None),
        (["null", "int"], "int", Break("type", "f", "null", "int")),
        ("int", ["null", "long"], None),
        (["int", "string"], ["string", "long"], None),
        ("boolean", ["null", "int"], Break("type", "f", "boolean", "null or int")),
        (ENUM, ENUM | {"symbols": ["A"]}, Break("symbols", "f", "B, C", "A")),
        ({"type": "fixed", "name": "F", "size": 2}, {"type": "fixed", "name": "F", "size": 3}, Break("size", "f", "2", "3")),
        (INNER, INNER | {"name": "S"}, Break("name", "f", "record R", "record S")),
        (INNER, INNER | {"name": "S", "aliases": ["R"]}, None),
        ({"type": "map", "values": INNER}, {"type": "map", "values": INNER | {"fields": [*INNER["fields"], {"name": "y", "type": "int"}]}},
         Break("no-default", "f{}.y", "", "int")),
        (["null", INNER], ["null", INNER | {"fields": [{"name": "x", "type": "string"}]}], Break("type", "f.x", "int", "string")),
        (NODE, NODE, None),
    ],
)  # fmt: skip
def test_each_rule_finds_its_break(writer: Any, reader: Any, wanted: Break | None) -> None:
    found = breaks(record({"name": "f", "type": writer}), record({"name": "f", "type": reader}))
    assert found == ([] if wanted is None else [wanted])
