"""The columnar Avro codec reads and writes what the reference does, and refuses what is no datum, whichever way it goes."""

import io
import math
from typing import Any

import pyarrow as pa
import pytest
from fastavro import parse_schema, schemaless_reader, schemaless_writer
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.codecs.avro_columns import AvroDecoder, AvroEncoder
from schemas.codecs.avro_strict import Strict
from schemas.codecs.frame import Frame
from schemas.codecs.layout import Layout
from schemas.contracts import Contract, built_in
from schemas.vocabulary import Reason
from tests.unit.avro_schemas import schemas_with_datums

FRAMES = st.sampled_from([Frame(), Frame.single_object(bytes.fromhex("87e0b1a7491587b2")), Frame.confluent(7), Frame.confluent(2**31 - 1)])
NAN_FINGERPRINT = Frame.single_object(b"\x01\x00\x00\x00\x00\x00\xf0\x7f")


def bare(schema: Any) -> Any:
    """A schema for the reference that has no logical types."""
    return parse_schema(Layout.of(Contract.of(schema).schema).avro)


def written(schema: Any, datum: Any) -> bytes:
    out = io.BytesIO()
    schemaless_writer(out, bare(schema), datum)
    return out.getvalue()


def read(schema: Any, value: bytes) -> Any:
    return schemaless_reader(io.BytesIO(value), bare(schema), None)


def plain(columns: pa.RecordBatch, schema: Any) -> list[Any]:
    """Columns as the reference's datums: what the bytes are."""
    layout = Layout.of(Contract.of(schema).schema)
    casts = [column.cast(field.kind.plain, safe=False) for column, field in zip(columns, layout.fields, strict=True)]
    arrays = [column.to_pylist(maps_as_pydicts="strict") for column in casts]
    return [{field.name: row[at] for at, field in enumerate(layout.fields)} for row in zip(*arrays, strict=True)]


def same(left: Any, right: Any) -> bool:
    """Equal, and NaN is NaN."""
    match left, right:
        case float(), float():
            return left == right or (math.isnan(left) and math.isnan(right))
        case dict(), dict():
            return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
        case list(), list():
            return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right)


@settings(deadline=None)
@given(schemas_with_datums() | schemas_with_datums(fixed=True), FRAMES | st.just(NAN_FINGERPRINT))
def test_what_the_reference_writes_is_read_alike_and_written_back_alike(case: tuple[Any, list[Any]], frame: Frame) -> None:
    schema, datums = case
    contract = Contract.of(schema)
    values = [frame.prefix + written(schema, datum) for datum in datums]
    decoded = AvroDecoder(contract.schema, frame).decode(values)
    assert list(decoded.bad) == []
    assert decoded.good.tolist() == list(range(len(values)))
    assert same(plain(decoded.columns, schema), [read(schema, value[len(frame.prefix) :]) for value in values])
    assert AvroEncoder(contract.schema, frame).encode(decoded.columns) == values


@settings(deadline=None)
@given(schemas_with_datums(most=3) | schemas_with_datums(fixed=True, most=3), st.data())
def test_hostile_bytes_are_accepted_exactly_if_they_are_strictly_a_datum(case: tuple[Any, list[Any]], data: Any) -> None:
    schema, datums = case
    contract = Contract.of(schema)
    values = []
    for datum in datums * 8:
        value = bytearray(written(schema, datum))
        if value and data.draw(st.booleans()):
            value[data.draw(st.integers(0, len(value) - 1))] = data.draw(st.sampled_from([0, 1, 2, 3, 0x7F, 0x80, 0xFF]))
        cut = data.draw(st.sampled_from([len(value), len(value), len(value) // 2]))
        values.append(bytes(value[:cut]) + data.draw(st.sampled_from([b"", b"", b"\0"])))
    strict = Strict(bare(schema))
    faults = [strict.fault(value) for value in values]
    decoded = AvroDecoder(contract.schema).decode(values)
    good = [row for row, fault in enumerate(faults) if fault is None]
    ranged = {bad.row for bad in decoded.bad if bad.reason == Reason.OUT_OF_RANGE}  # a time of day beyond the day is a fine int
    assert decoded.good.tolist() == [row for row in good if row not in ranged]
    assert all(fault is None or bad.reason == fault.reason for bad in decoded.bad for fault in [faults[bad.row]])
    assert sorted([*decoded.good.tolist(), *(bad.row for bad in decoded.bad)]) == list(range(len(values)))
    assert same(plain(decoded.columns, schema), [read(schema, values[row]) for row in decoded.good])


@settings(deadline=None)
@given(schemas_with_datums(fixed=True, most=1), st.data())
def test_the_strict_reading_never_accepts_what_the_reference_refuses(case: tuple[Any, list[Any]], data: Any) -> None:
    schema, datums = case
    value = bytearray(written(schema, datums[0]))
    if value:
        value[data.draw(st.integers(0, len(value) - 1))] = data.draw(st.integers(0, 255))
    if Strict(bare(schema)).fault(bytes(value)) is None:
        source = io.BytesIO(bytes(value))
        schemaless_reader(source, bare(schema), None)
        assert source.tell() == len(value)


DEPARTURE = built_in()["flights.Departure"]


def one(kind: Any, value: bytes) -> tuple[Any, ...]:
    """What becomes of a value of a record with one field: its datum, or reason and sentence."""
    contract = Contract.of({"type": "record", "name": "T", "fields": [{"name": "f", "type": kind}]})
    decoded = AvroDecoder(contract.schema).decode([value])
    return tuple(decoded.columns.column(0).to_pylist()) if len(decoded.good) else decoded.bad[0][1:3]


@pytest.mark.parametrize(
    ("kind", "value", "reason", "words"),
    [
        ("string", b"\x04\xff\xfe", Reason.INVALID_UTF8, "field f: a string is not UTF-8 (byte 1 of 3)"),
        ("string", b"\x09abcde", Reason.WRONG_TYPE, "a length is -5 (byte 0 of 6)"),
        ("string", b"\x20abc", Reason.TRUNCATED, "13 more bytes are needed (byte 4 of 4)"),
        ("int", bytes.fromhex("8080808010"), Reason.OUT_OF_RANGE, "does not fit 32 bits (byte 0 of 5)"),
        ("int", bytes.fromhex("8080808048"), Reason.OUT_OF_RANGE, "does not fit 32 bits"),  # wraps to an int of the same length
        ("long", b"\xff" * 9 + b"\x7f", Reason.OUT_OF_RANGE, "does not fit 64 bits"),
        ("long", b"\x80" * 10 + b"\x01", Reason.OUT_OF_RANGE, "more than ten bytes"),
        ("boolean", b"\x02", Reason.WRONG_TYPE, "a boolean is 2"),
        ({"type": "enum", "name": "E", "symbols": ["a"]}, b"\x01", Reason.WRONG_TYPE, "names number -1"),
        (["null", "int"], b"\x04\x00", Reason.WRONG_TYPE, "a union has 2 branches, the value names number 2"),
        ("double", b"\0" * 7, Reason.TRUNCATED, "the value ends where 1 more bytes are needed"),
        ("double", b"\0" * 9, Reason.TRAILING_BYTES, "the datum ends at byte 8, the value goes on to byte 9"),
        ({"type": "array", "items": "int"}, b"\x80\x80\x80\x80\x80\x80\x80\x80\x02\x02", Reason.TRUNCATED, "ends within a number"),
        ({"type": "array", "items": "int"}, b"\x03\x08\x02\x04\x00", Reason.TRUNCATED, "ends where 1 more bytes"),
        ({"type": "array", "items": "int"}, b"\x03\x02\x02\x04\x00", Reason.WRONG_TYPE, "a block says that it has 1 bytes"),
        ({"type": "int", "logicalType": "time-millis"}, b"\x01", Reason.OUT_OF_RANGE, "time32"),
        ({"type": "bytes", "logicalType": "decimal", "precision": 3}, b"\x04\x7f\xff", Reason.OUT_OF_RANGE, "precision"),
        ({"type": "bytes", "logicalType": "decimal", "precision": 38}, b"\x80\x02" + b"\x7f" * 128, Reason.OUT_OF_RANGE, "too many digits"),
    ],
)  # fmt: skip
def test_each_kind_of_broken_value_has_its_reason_and_place(kind: Any, value: bytes, reason: Reason, words: str) -> None:
    found, sentence = one(kind, value)
    assert found == reason
    assert words in sentence


@pytest.mark.parametrize(
    ("kind", "value", "datum"),
    [
        ("long", b"\x82\x80\x80\x00", 1),  # longer than it needs to be
        ({"type": "array", "items": "int"}, b"\x02\x02\x02\x04\x00", [1, 2]),  # in two blocks
        ({"type": "array", "items": "int"}, b"\x03\x04\x02\x04\x00", [1, 2]),  # a block with its size
    ],
)
def test_good_values_written_unusually_are_read(kind: Any, value: bytes, datum: Any) -> None:
    assert one(kind, value) == (datum,)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (["int", "string"], "the union"),
        ({"type": "array", "items": "null"}, "a null inside"),
        ({"type": "array", "items": {"type": "record", "name": "R", "fields": []}}, "no bytes"),
        ({"type": "array", "items": {"type": "bytes", "logicalType": "decimal", "precision": 3}}, "decimal inside"),
        (["null", "T"], "holds itself"),
        ({"type": "bytes", "logicalType": "decimal", "precision": 50}, "50 digits"),
    ],
)
def test_a_type_without_columns_is_refused_when_the_decoder_is_built(kind: Any, words: str) -> None:
    contract = Contract.of({"type": "record", "name": "T", "fields": [{"name": "f", "type": kind}]})
    with pytest.raises(ValueError, match="field f: ") as caught:
        AvroDecoder(contract.schema)
    assert words in str(caught.value)


@given(st.lists(st.decimals(-(10**32), 10**32, places=5), max_size=4))
def test_decimals_come_back_with_all_their_digits(numbers: list[Any]) -> None:
    for kind in ({"type": "bytes"}, {"type": "fixed", "name": "F", "size": 16}):
        field = {"name": "f", "type": {**kind, "logicalType": "decimal", "precision": 38, "scale": 5}}
        contract = Contract.of({"type": "record", "name": "T", "fields": [field]})
        columns = pa.RecordBatch.from_arrays([pa.array(numbers, pa.decimal128(38, 5))], schema=Layout.of(contract.schema).arrow)
        assert AvroDecoder(contract.schema).decode(AvroEncoder(contract.schema).encode(columns)).columns.equals(columns)


def test_a_few_bad_rows_among_hundreds_are_found_and_the_rest_decodes() -> None:
    frame = Frame.single_object(DEPARTURE.fingerprint)
    datum = {
        "flight_id": "UA-1", "scheduled_at": 1, "departed_at": None, "dep_delay": 1.5, "carrier": "UA", "flight": 1, "tailnum": None,
        "origin": "EWR", "dest": "IAH", "distance": 3.0, "time_hour": "x",
    }  # fmt: skip
    values = [frame.prefix + written(DEPARTURE.schema, datum | {"flight": row}) for row in range(300)]
    values[17], values[100], values[299] = values[17][:-1], values[100] + b"x", b""
    decoded = AvroDecoder(DEPARTURE.schema, frame).decode(values)
    assert [(bad.row, bad.reason) for bad in decoded.bad] == [
        (17, Reason.TRUNCATED), (100, Reason.TRAILING_BYTES), (299, Reason.UNKNOWN_SCHEMA),
    ]  # fmt: skip
    assert decoded.columns.column("flight").to_pylist() == [row for row in range(300) if row not in (17, 100, 299)]


def test_rows_that_do_not_fit_are_refused_by_the_encoder() -> None:
    kind = {"type": "enum", "name": "E", "symbols": ["a"]}
    contract = Contract.of({"type": "record", "name": "T", "fields": [{"name": "f", "type": kind}]})
    encoder = AvroEncoder(contract.schema)
    assert encoder.encode(pa.RecordBatch.from_pydict({"f": ["a"]})) == [b"\0"]
    for wrong in (pa.array(["b"]), pa.array([None], pa.string()), pa.array([1]), pa.array([b"\xff"]).cast(pa.string(), safe=False)):
        with pytest.raises(ValueError, match=r"."):
            encoder.encode(pa.RecordBatch.from_arrays([wrong], ["f"]))
    with pytest.raises(ValueError, match="no column f"):
        encoder.encode(pa.RecordBatch.from_pydict({"g": ["a"]}))
