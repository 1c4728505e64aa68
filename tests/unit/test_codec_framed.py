"""Framed values: the schema that a value names decides how it is read, whatever stands beside it in the batch."""

import io
from typing import Any

import pyarrow as pa
import pytest
from fastavro import schemaless_reader
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.codecs.avro_columns import AvroEncoder
from schemas.codecs.frame import Frame
from schemas.codecs.framed import confluent, single_object
from schemas.codecs.registry import MemoryRegistry
from schemas.codecs.resolution import resolving
from schemas.contracts import Contract, Contracts
from schemas.vocabulary import Reason
from tests.unit.test_codec_avro import written


def record(*fields: dict[str, Any], name: str = "T") -> Contract:
    return Contract.of({"type": "record", "name": name, "fields": list(fields)})


OLD = record({"name": "n", "type": "int"}, {"name": "gone", "type": "string"})
NEW = record(
    {"name": "wide", "type": "double", "aliases": ["n"]},
    {"name": "note", "type": ["null", "string"], "default": None},
    {"name": "kind", "type": "string", "default": "usual"},
    {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}, "default": 5},
)
OTHER = record({"name": "n", "type": "int"}, name="Other")  # lacks nothing that NEW can't default
CONTRACTS = Contracts({}, {contract.fingerprint: contract for contract in (OLD, NEW)})


def framed(contract: Contract, datum: Any) -> bytes:
    return Frame.single_object(contract.fingerprint).prefix + written(contract.schema, datum)


ROWS = st.one_of(
    st.builds(lambda n, text: (framed(OLD, {"n": n, "gone": text}), {"wide": float(n), "note": None, "kind": "usual", "at": 5}),
              st.integers(-(2**31), 2**31 - 1), st.text(st.characters(codec="utf-8"), max_size=4)),
    st.builds(lambda wide, note, at: (framed(NEW, datum := {"wide": wide, "note": note, "kind": "k", "at": at}), datum),
              st.floats(allow_nan=False), st.none() | st.just("x"), st.integers(-(2**63), 2**63 - 1)),
    st.sampled_from([(b"", None), (b"\xc3", None), (b"\xc3\x01abc", None), (b"nonsense!!!!", None), (framed(OTHER, {"n": 1}), None),
                     (framed(OLD, {"n": 1, "gone": "abc"})[:-1], None), (framed(OLD, {"n": 1, "gone": "abc"}) + b"\0", None)]),
)  # fmt: skip


@settings(deadline=None)
@given(st.lists(ROWS, max_size=30))
def test_a_batch_of_several_writers_and_bad_values_is_read_row_for_row(rows: list[tuple[bytes, Any]]) -> None:
    decoded = single_object(NEW, CONTRACTS).decode([value for value, _ in rows])
    columns = decoded.columns.set_column(3, "at", decoded.columns.column("at").cast(pa.int64()))
    assert columns.to_pylist() == [datum for _, datum in rows if datum is not None]
    assert decoded.good.tolist() == [row for row, (_, datum) in enumerate(rows) if datum is not None]
    assert [bad.row for bad in decoded.bad] == [row for row, (_, datum) in enumerate(rows) if datum is None]


def test_what_is_wrong_with_a_frame_is_said() -> None:
    values = [b"", b"\xc3", b"\xc3\x01abc", b"nonsense!!!!", framed(OTHER, {"n": 1})]
    decoded = single_object(NEW, CONTRACTS).decode(values)
    assert [bad.reason for bad in decoded.bad] == [
        Reason.TRUNCATED, Reason.TRUNCATED, Reason.TRUNCATED, Reason.UNKNOWN_SCHEMA, Reason.UNKNOWN_SCHEMA,
    ]  # fmt: skip
    assert OTHER.fingerprint.hex() in decoded.bad[4].sentence


def test_the_confluent_format_is_read_by_the_registry() -> None:
    registry = MemoryRegistry({7: OLD, 9: NEW})
    values = [b"\0\0\0\0\x07" + written(OLD.schema, {"n": 3, "gone": ""}), b"\0\0\0\0\x08", b"\0\0\0\0\x09" + b"\0", b"\1"]
    decoded = confluent(NEW, registry).decode(values)
    assert decoded.columns.column("wide").to_pylist() == [3.0]
    assert [(bad.row, bad.reason) for bad in decoded.bad] == [(1, Reason.UNKNOWN_SCHEMA), (2, Reason.TRUNCATED), (3, Reason.UNKNOWN_SCHEMA)]
    frame = Frame.confluent(registry.schema_id(NEW, "t-value") or 0)
    assert AvroEncoder(NEW.schema, frame).encode(decoded.columns)[0].startswith(b"\0\0\0\0\x09")


PRIMITIVES = ["boolean", "int", "long", "float", "double", "string", "bytes"]
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "boolean": st.booleans(), "int": st.integers(-(2**31), 2**31 - 1), "long": st.integers(-(2**63), 2**63 - 1),
    "float": st.floats(width=32, allow_nan=False), "double": st.floats(allow_nan=False),
    "string": st.text(st.characters(codec="utf-8"), max_size=4), "bytes": st.binary(max_size=3),
}  # fmt: skip


@settings(deadline=None)
@given(st.sampled_from(PRIMITIVES), st.booleans(), st.sampled_from(PRIMITIVES), st.booleans(), st.data())
def test_widening_is_what_the_reference_does(left: str, left_null: bool, right: str, right_null: bool, data: Any) -> None:
    kinds = [["null", name] if null else name for name, null in ((left, left_null), (right, right_null))]
    writer, reader = (record({"name": "f", "type": kind}) for kind in kinds)
    datum = {"f": data.draw(st.none() | VALUES[left] if left_null else VALUES[left])}
    value = written(writer.schema, datum)
    decoded = resolving(writer, reader, Frame()).decode([value])
    try:
        expected: Any = schemaless_reader(io.BytesIO(value), writer.parsed, reader.parsed)
    except Exception:
        assert len(decoded.bad) == 1
        return
    found = decoded.columns.to_pylist()
    assert found == [expected] or (right == "float" and found[0]["f"] == pytest.approx(expected["f"], rel=1e-6))


def test_fields_inside_a_record_that_differ_are_left_to_the_reference() -> None:
    def nested(*fields: dict[str, Any]) -> Contract:
        return record({"name": "r", "type": {"type": "record", "name": "R", "fields": list(fields)}}, {"name": "e", "type": enum})

    enum = {"type": "enum", "name": "E", "symbols": ["A", "B"]}
    writer = nested({"name": "x", "type": "int"})
    enum = {"type": "enum", "name": "E", "symbols": ["A"]}
    reader = nested({"name": "x", "type": "long"}, {"name": "y", "type": "string", "default": "?"})
    values = [written(writer.schema, {"r": {"x": 1}, "e": symbol}) for symbol in "ABA"]
    decoded = resolving(writer, reader, Frame()).decode(values)
    assert decoded.columns.to_pylist() == [{"r": {"x": 1, "y": "?"}, "e": "A"}] * 2
    assert [(bad.row, bad.reason) for bad in decoded.bad] == [(1, Reason.WRONG_TYPE)]


def test_milliseconds_are_not_read_as_microseconds() -> None:
    writer, reader = (record({"name": "t", "type": {"type": "long", "logicalType": f"timestamp-{unit}"}}) for unit in ("millis", "micros"))
    with pytest.raises(ValueError, match="timestamp-millis"):
        resolving(writer, reader, Frame())
