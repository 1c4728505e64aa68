"""CloudEvents in every mode and format: what is written is read back, what the specification forbids is refused, and nothing else."""

import base64
import io
from typing import Any

import orjson
import pytest
from fastavro import parse_schema, schemaless_writer
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.codecs.cloudevents import AVRO_ENVELOPE, JSON_ENVELOPE, RecordDecoder
from schemas.codecs.cloudevents_attributes import CE_EXTENSIONS
from schemas.codecs.cloudevents_headers import Pairs
from schemas.codecs.decoder import Decoded
from schemas.codecs.encodings import Encoding, decoder
from schemas.codecs.frame import Frame
from schemas.contracts import Contract, Contracts
from schemas.vocabulary import Reason
from tests.unit.test_codec_avro import written

CONTRACT = Contract.of({"type": "record", "name": "T", "fields": [{"name": "f", "type": "int"}, {"name": "s", "type": "string"}]})
CONTRACTS = Contracts({}, {CONTRACT.fingerprint: CONTRACT})
SPEC: Any = parse_schema({  # the schema as the specification prints it
    "namespace": "io.cloudevents", "type": "record", "name": "CloudEvent", "fields": [
        {"name": "attribute", "type": {"type": "map", "values": ["null", "boolean", "int", "string", "bytes"]}},
        {"name": "data", "type": ["bytes", "null", "boolean", {"type": "map", "values": ["null", "boolean", {
            "type": "record", "name": "CloudEventData", "fields": [{"name": "value", "type": {"type": "map", "values": [
                "null", "boolean", {"type": "map", "values": "CloudEventData"}, {"type": "array", "items": "CloudEventData"},
                "double", "string"]}}]}, "double", "string"]}, {"type": "array", "items": "CloudEventData"},
            "double", "string"]}]})  # fmt: skip
HEAD = {"specversion": "1.0", "id": "1", "source": "/s", "type": "t"}
DATA = {"f": 7, "s": "x"}
AVRO = Frame.single_object(CONTRACT.fingerprint).prefix + written(CONTRACT.schema, DATA)

Record = tuple[bytes, Pairs]


def said(value: Any) -> str:
    """A value as CloudEvents write it as text."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def binary(attributes: dict[str, Any], data: bytes, kind: str | None) -> Record:
    headers: list[tuple[str, bytes | None]] = [
        (f"ce_{name}", None if value is None else said(value).encode()) for name, value in attributes.items()
    ]
    return data, headers if kind is None else [*headers, ("content-type", kind.encode())]


def in_json(event: dict[str, Any]) -> Record:
    return orjson.dumps(event), [("Content-Type", b"application/cloudevents+JSON; charset=UTF-8")]


def in_avro(attributes: dict[str, Any], data: Any) -> Record:
    out = io.BytesIO()
    schemaless_writer(out, SPEC, {"attribute": attributes, "data": data})
    return out.getvalue(), [("content-type", b"application/cloudevents+avro")]


def read(*records: Record) -> Decoded:
    made = decoder(CONTRACT, "cloudevents", CONTRACTS)
    assert isinstance(made, RecordDecoder)
    return made.decode_headed([value for value, _ in records], [headers for _, headers in records])


def forms(attributes: dict[str, Any]) -> list[Record]:
    """One event in every mode, format and form of data that there is."""
    avro, text = {**attributes, "datacontenttype": "application/avro"}, orjson.dumps(DATA)
    return [
        binary(attributes, text, "application/json"),
        binary(attributes, text, None),
        binary(attributes, AVRO, "application/vnd.apache.avro+binary"),
        in_json({**attributes, "data": DATA}),
        in_json({**attributes, "data_base64": base64.b64encode(text).decode(), "datacontenttype": "text/json; a=b"}),
        in_json({**avro, "data_base64": base64.b64encode(AVRO).decode()}),
        in_avro(attributes, text),
        in_avro(avro, AVRO),
        in_avro(attributes, DATA),
        in_avro({**attributes, "datacontenttype": "application/json"}, text.decode()),
    ]


NAMES = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=8).map("x".__add__)
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cn"]), max_size=8)


@settings(deadline=None, max_examples=60)
@given(st.dictionaries(NAMES, TEXT | st.booleans() | st.integers(-(2**31), 2**31 - 1), max_size=3), TEXT.filter(bool))
def test_an_event_is_the_same_in_every_form(extensions: dict[str, Any], own: str) -> None:
    records = forms(HEAD | {"id": own, "subject": "me", "time": "2013-01-01T02:00:00.1234567+02:00"} | extensions)
    decoded = read(*records)
    assert list(decoded.bad) == []
    rows = decoded.columns.to_pylist(maps_as_pydicts="strict")
    assert rows == [rows[0]] * len(records)
    assert {name: rows[0][name] for name in ("f", "s", "ce_id", "ce_source", "ce_type", "ce_subject")} == DATA | {
        "ce_id": own, "ce_source": "/s", "ce_type": "t", "ce_subject": "me"}  # fmt: skip
    assert str(rows[0]["ce_time"]) == "2013-01-01 00:00:00.123456+00:00"
    assert rows[0][CE_EXTENSIONS] == {name: said(value) for name, value in extensions.items()}


@settings(deadline=None, max_examples=60)
@given(st.dictionaries(NAMES, TEXT, max_size=3))
def test_what_an_envelope_writes_is_read_back(extensions: dict[str, str]) -> None:
    headers: Pairs = [(f"ce_{name}", text.encode()) for name, text in (HEAD | extensions).items()] + [("content-type", b"gone")]
    for around, data, encoding in ((JSON_ENVELOPE, orjson.dumps(DATA), "cloudevents-json"), (AVRO_ENVELOPE, AVRO, "cloudevents-avro")):
        values = around.around([data], [headers])
        told: Encoding = encoding  # type: ignore[assignment]
        (row,) = decoder(CONTRACT, told, CONTRACTS).decode(values).columns.to_pylist(maps_as_pydicts="strict")
        assert {name: row[name] for name in DATA} == DATA
        assert row[CE_EXTENSIONS] == extensions
        assert read((values[0], [("content-type", around.content_type.encode())])).good.tolist() == [0]


def nested(depth: int) -> bytes:
    """Data that holds itself, by hand: a map of one entry, over and over."""
    attributes = in_avro(HEAD, None)[0][:-1]
    return attributes + b"\x06" + b"\x02\x00\x04" + b"\x02\x00\x04\x02\x00" * depth


JSON_HEADS: list[tuple[dict[str, Any], Reason]] = [
    ({"specversion": "0.3"}, Reason.NOT_CLOUDEVENT), ({"specversion": 1}, Reason.NOT_CLOUDEVENT), ({"id": ""}, Reason.NOT_CLOUDEVENT),
    ({"id": None}, Reason.NOT_CLOUDEVENT), ({"id": "a\x07"}, Reason.NOT_CLOUDEVENT), ({"source": 1}, Reason.NOT_CLOUDEVENT),
    ({"source": "a b"}, Reason.NOT_CLOUDEVENT), ({"source": "%zz"}, Reason.NOT_CLOUDEVENT), ({"type": None}, Reason.NOT_CLOUDEVENT),
    ({"subject": ""}, Reason.NOT_CLOUDEVENT), ({"dataschema": "relative"}, Reason.NOT_CLOUDEVENT),
    ({"time": "noon"}, Reason.NOT_CLOUDEVENT),
    ({"time": "2013-01-01T00:00:00"}, Reason.NOT_CLOUDEVENT), ({"time": "2013-W01-1T00:00:00Z"}, Reason.NOT_CLOUDEVENT),
    ({"Upper": "x"}, Reason.NOT_CLOUDEVENT), ({"a_b": "x"}, Reason.NOT_CLOUDEVENT), ({"x": 1.5}, Reason.NOT_CLOUDEVENT),
    ({"x": 2**31}, Reason.NOT_CLOUDEVENT), ({"x": {}}, Reason.NOT_CLOUDEVENT), ({"datacontenttype": "nonsense"}, Reason.NOT_CLOUDEVENT),
    ({"datacontenttype": "text/xml"}, Reason.NOT_CLOUDEVENT), ({"data_base64": "AA=="}, Reason.NOT_CLOUDEVENT),
    ({"data": []}, Reason.WRONG_TYPE), ({"data": None}, Reason.WRONG_TYPE), ({"data": {"f": "x", "s": ""}}, Reason.WRONG_TYPE),
    ({"data": {"f": 2**31, "s": ""}}, Reason.OUT_OF_RANGE), ({"data": None, "data_base64": 1}, Reason.NOT_CLOUDEVENT),
    ({"data": None, "data_base64": "no base64!"}, Reason.NOT_CLOUDEVENT),
]  # fmt: skip

HOSTILE: list[tuple[Record, Reason]] = [
    *((in_json(HEAD | {"data": DATA} | change), reason) for change, reason in JSON_HEADS),
    ((b"{", in_json({})[1]), Reason.NOT_JSON),
    ((b'{"id": "\xff"}', in_json({})[1]), Reason.INVALID_UTF8),
    ((b"[" * 100_000, in_json({})[1]), Reason.NOT_JSON),
    (in_json({**HEAD, "datacontenttype": "a/avro", "data": "text"}), Reason.NOT_CLOUDEVENT),
    ((b"{}", [("content-type", b"application/cloudevents-batch+json")]), Reason.NOT_CLOUDEVENT),
    ((b"{}", [("content-type", b"application/cloudevents+xml")]), Reason.NOT_CLOUDEVENT),
    ((b"{}", []), Reason.NOT_CLOUDEVENT),
    (binary(HEAD | {"id": None}, b"{}", None), Reason.NOT_CLOUDEVENT),
    ((b"{}", [*binary(HEAD, b"", None)[1], ("ce_id", b"2")]), Reason.NOT_CLOUDEVENT),
    ((b"{}", [*binary(HEAD, b"", None)[1], ("ce_x", b"\xff")]), Reason.INVALID_UTF8),
    (binary(HEAD, b"{", "application/json"), Reason.NOT_JSON),
    (binary(HEAD, AVRO[:-1], "application/avro"), Reason.TRUNCATED),
    (binary(HEAD, AVRO + b"\0", "application/avro"), Reason.TRAILING_BYTES),
    (binary(HEAD, b"\xc3\x01" + b"z" * 20, "application/avro"), Reason.UNKNOWN_SCHEMA),
    (binary(HEAD, AVRO, "application/octet-stream"), Reason.NOT_CLOUDEVENT),
    ((in_avro(HEAD, AVRO)[0][:-1], in_avro(HEAD, None)[1]), Reason.TRUNCATED),
    ((in_avro(HEAD, AVRO)[0] + b"\0", in_avro(HEAD, None)[1]), Reason.TRAILING_BYTES),
    ((nested(50_000), in_avro(HEAD, None)[1]), Reason.WRONG_TYPE),
    ((nested(3), in_avro(HEAD, None)[1]), Reason.TRUNCATED),
    (in_avro(HEAD, None), Reason.WRONG_TYPE),
    (in_avro({**HEAD, "datacontenttype": "a/avro"}, DATA), Reason.NOT_CLOUDEVENT),
    (in_avro({**HEAD, "id": 1}, AVRO), Reason.NOT_CLOUDEVENT),
    (in_avro({"id": "1"}, AVRO), Reason.NOT_CLOUDEVENT),
]  # fmt: skip


@pytest.mark.parametrize("order", [1, -1])
def test_a_hostile_batch_ends_with_the_right_reasons_and_what_is_good_between_is_read(order: int) -> None:
    mixed = [pair for hostile in HOSTILE[::order] for pair in (hostile, (forms(HEAD)[len(hostile[0][0]) % 10], None))]
    decoded = read(*(record for record, _ in mixed))
    assert [(bad.row, bad.reason) for bad in decoded.bad] == [(row, reason) for row, (_, reason) in enumerate(mixed) if reason]
    assert decoded.good.tolist() == [row for row, (_, reason) in enumerate(mixed) if not reason]
    assert decoded.columns.column("f").to_pylist() == [7] * len(decoded.good)
    assert all(bad.sentence for bad in decoded.bad)


def test_null_attributes_are_as_good_as_absent_and_json_in_avro_holds_objects() -> None:
    event = in_json(HEAD | {"data": DATA, "subject": None, "time": None, "x": None, "data_base64": None})
    inner = Contract.of({"type": "record", "name": "O", "fields": [
        {"name": "r", "type": {"type": "record", "name": "R", "fields": [{"name": "value", "type": "long"}]}}]})  # fmt: skip
    made = decoder(inner, "cloudevents-avro", CONTRACTS).decode([in_avro(HEAD, {"r": {"value": {"value": 5.0}}})[0]])
    assert made.columns.column("r").to_pylist() == [{"value": 5}]
    (row,) = read(event).columns.to_pylist()
    assert (row["ce_subject"], row["ce_time"], row[CE_EXTENSIONS]) == (None, None, [])


def test_an_attribute_that_the_schema_has_a_field_for_is_no_column_of_its_own() -> None:
    contract = Contract.of({"type": "record", "name": "T", "fields": [{"name": "ce_id", "type": "int"}]})
    decoded = decoder(contract, "cloudevents-json", CONTRACTS).decode([orjson.dumps(HEAD | {"data": {"ce_id": 3}})])
    assert decoded.columns.column("ce_id").to_pylist() == [3]
