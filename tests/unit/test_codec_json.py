"""JSON by an Avro schema: what is written is read back, and nothing is turned into something else without being asked."""

from typing import Any

import orjson
import pyarrow as pa
import pytest
from hypothesis import assume, given, settings

from schemas.codecs.avro_columns import AvroDecoder
from schemas.codecs.json_columns import JsonDecoder
from schemas.codecs.json_write import JsonEncoder
from schemas.contracts import Contract, built_in
from schemas.vocabulary import Reason
from tests.unit.avro_schemas import schemas_with_datums
from tests.unit.test_codec_avro import written


def of(kind: Any, **more: Any) -> Contract:
    return Contract.of({"type": "record", "name": "T", "fields": [{"name": "f", "type": kind, **more}]})


def one(kind: Any, value: Any, **more: Any) -> Any:
    """What becomes of one JSON value: the datum, or the reason and sentence."""
    decoded = JsonDecoder(of(kind, **more).schema).decode([orjson.dumps({"f": value})])
    return decoded.columns.column(0)[0].as_py() if len(decoded.good) else tuple(decoded.bad[0][1:3])


@settings(deadline=None)
@given(schemas_with_datums() | schemas_with_datums(fixed=True))
def test_what_is_written_as_json_is_read_back(case: tuple[Any, list[Any]]) -> None:
    contract = Contract.of(case[0])
    columns = AvroDecoder(contract.schema).decode([written(contract.schema, datum) for datum in case[1]]).columns
    try:
        values = JsonEncoder(contract.schema).encode(columns)
    except ValueError as error:
        assume(not any(words in str(error) for words in ("NaN", "9999", "out of range", "year ")))
        raise
    decoded = JsonDecoder(contract.schema).decode(values)
    assert list(decoded.bad) == []
    assert decoded.columns.equals(columns)


TS = {"type": "long", "logicalType": "timestamp-millis"}
LOCAL = {"type": "long", "logicalType": "local-timestamp-micros"}
NANOS = {"type": "long", "logicalType": "timestamp-nanos"}
ENUM = {"type": "enum", "name": "E", "symbols": ["A", "B"]}
DECIMAL = {"type": "bytes", "logicalType": "decimal", "precision": 4, "scale": 2}
TIME = {"type": "int", "logicalType": "time-millis"}


@pytest.mark.parametrize(
    ("kind", "value", "reason"),
    [
        ("int", "1", Reason.WRONG_TYPE),
        ("int", 1.0, Reason.WRONG_TYPE),
        ("int", True, Reason.WRONG_TYPE),
        ("int", None, Reason.WRONG_TYPE),
        ("int", 2**31, Reason.OUT_OF_RANGE),
        ("long", 2**63, Reason.OUT_OF_RANGE),
        ("boolean", 1, Reason.WRONG_TYPE),
        ("boolean", "true", Reason.WRONG_TYPE),
        ("string", 1, Reason.WRONG_TYPE),
        ("double", "1", Reason.WRONG_TYPE),
        ("double", True, Reason.WRONG_TYPE),
        ("float", 1e39, Reason.OUT_OF_RANGE),
        ("bytes", "no base64!", Reason.WRONG_TYPE),
        ({"type": "fixed", "name": "F", "size": 2}, "AA==", Reason.WRONG_TYPE),
        (ENUM, "C", Reason.WRONG_TYPE),
        (["null", "int"], "x", Reason.WRONG_TYPE),
        ({"type": "array", "items": "int"}, [1, "2"], Reason.WRONG_TYPE),
        ({"type": "map", "values": "int"}, [1], Reason.WRONG_TYPE),
        (TS, "2013-01-01T00:00:00", Reason.WRONG_TYPE),  # without an offset
        (TS, "2013-01-01T00:00:00.0001Z", Reason.WRONG_TYPE),  # more exact than the type
        (NANOS, "2013-01-01T00:00:00.123456789Z", Reason.WRONG_TYPE),
        (LOCAL, "2013-01-01T00:00:00Z", Reason.WRONG_TYPE),
        (TIME, 86_400_000, Reason.OUT_OF_RANGE),
        (DECIMAL, 1.5, Reason.WRONG_TYPE),
        (DECIMAL, "abc", Reason.WRONG_TYPE),
        (DECIMAL, "100", Reason.OUT_OF_RANGE),
        (DECIMAL, "1.234", Reason.OUT_OF_RANGE),
        (DECIMAL, "NaN", Reason.OUT_OF_RANGE),
    ],
)
def test_a_value_of_another_type_is_refused_and_its_field_named(kind: Any, value: Any, reason: Reason) -> None:
    found, sentence = one(kind, value)
    assert found == reason
    assert sentence.startswith("field f: ")


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("double", 1, 1.0),
        ("double", 2**60 + 1, float(2**60)),
        (["null", "int"], None, None),
        (DECIMAL, "1.5", "1.50"),
        (DECIMAL, -12, "-12.00"),
        (DECIMAL, "1E1", "10.00"),
        ({"type": "int", "logicalType": "date"}, "2013-01-01", "2013-01-01"),
        (TS, "2013-01-01T02:00:00.5+02:00", "2013-01-01 00:00:00.500000+00:00"),
        (TS, 1_356_998_400_000, "2013-01-01 00:00:00+00:00"),
    ],
)
def test_the_forms_that_are_documented_are_read(kind: Any, value: Any, expected: Any) -> None:
    found = one(kind, value)
    assert found == expected or str(found) == expected


def test_missing_fields_take_their_default_and_unknown_ones_are_passed_over() -> None:
    decoder = JsonDecoder(of("int", default=7).schema)
    assert decoder.decode([b"{}", b'{"f": 1, "other": []}']).columns.column(0).to_pylist() == [7, 1]
    found = JsonDecoder(of(["null", "int"]).schema).decode([b"{}"]).bad[0]
    assert (found.reason, found.sentence) == (Reason.WRONG_TYPE, "field f: it is missing, and has no default")


def test_a_field_is_found_by_its_alias_too_where_its_own_name_is_not_there() -> None:
    inner = {"type": "record", "name": "R", "fields": [{"name": "x", "type": "int", "aliases": ["old"]}]}
    assert one(inner, {"old": 1}) == {"x": 1}
    assert one(inner, {"old": 1, "x": 2}) == {"x": 2}
    decoder = JsonDecoder(of("int", aliases=["g", "h"], default=0).schema)
    values = [b'{"g": 1}', b'{"h": 2}', b'{"f": 3, "g": 4}', b"{}", b'{"g": "wrong"}']
    for good in (values[:4], values):  # by columns, and row by row
        assert decoder.decode(good).columns.column(0).to_pylist() == [1, 2, 3, 0]


def test_bad_values_among_good_ones_have_their_reasons_and_the_rest_decodes() -> None:
    values = [b'{"f": 1}', b"{", b"[]", b'"\xff"', b'{"f": NaN}', b'{"f": "x"}', b'{"f": 2}', b"", b"[" * 100_000]
    decoded = JsonDecoder(of("int").schema).decode(values)
    assert decoded.columns.column(0).to_pylist() == [1, 2]
    assert decoded.good.tolist() == [0, 6]
    assert [(bad.row, bad.reason) for bad in decoded.bad] == [
        (1, Reason.NOT_JSON), (2, Reason.WRONG_TYPE), (3, Reason.INVALID_UTF8), (4, Reason.NOT_JSON), (5, Reason.WRONG_TYPE),
        (7, Reason.NOT_JSON), (8, Reason.NOT_JSON),
    ]  # fmt: skip


def test_what_json_has_no_word_for_is_not_written() -> None:
    far = pa.array([2**62], pa.timestamp("ms", "UTC"))
    for kind, array in (("double", pa.array([float("nan")])), (TS, far), (ENUM, pa.array(["C"]))):
        with pytest.raises(ValueError, match="column f"):
            JsonEncoder(of(kind).schema).encode(pa.RecordBatch.from_arrays([array], ["f"]))
    nested = pa.RecordBatch.from_arrays([pa.array([[float("inf")]], pa.list_(pa.field("item", pa.float64(), nullable=False)))], ["f"])
    with pytest.raises(ValueError, match="NaN or infinity"):
        JsonEncoder(of({"type": "array", "items": "double"}).schema).encode(nested)


def test_the_columns_are_those_that_avro_gives() -> None:
    schema = built_in()["flights.Departure"].schema
    assert JsonDecoder(schema).arrow_schema.equals(AvroDecoder(schema).arrow_schema)
