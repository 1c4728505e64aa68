"""Contracts: found by name and by fingerprint, and refused where they could be confused."""

import json
from pathlib import Path
from typing import Any

import pytest

from schemas.contracts import Contract, Contracts, built_in
from schemas.errors import FlowError


def crc_64_avro(message: bytes) -> int:
    """The fingerprint as the specification writes it in Java."""
    empty = 0xC15D213AA4D7A795
    table = []
    for start in range(256):
        found = start
        for _ in range(8):
            found = (found >> 1) ^ (empty & -(found & 1) & 0xFFFFFFFFFFFFFFFF)
        table.append(found)
    found = empty
    for byte in message:
        found = (found >> 8) ^ table[(found ^ byte) & 0xFF]
    return found


def put(folder: Path, name: str, schema: Any) -> None:
    (folder / f"{name}.avsc").write_text(json.dumps(schema))


def record(name: str, kind: Any) -> dict[str, Any]:
    return {"type": "record", "name": name, "fields": [{"name": "f", "type": kind}]}


def test_the_fingerprint_is_that_of_the_specification_in_little_endian() -> None:
    canonical = b'{"name":"a.T","type":"record","fields":[{"name":"f","type":"long"}]}'
    field = {"name": "f", "type": {"type": "long"}, "default": 1}
    schema = {"type": "record", "namespace": "a", "name": "T", "doc": "x", "fields": [field]}
    assert Contract.of(schema).fingerprint == crc_64_avro(canonical).to_bytes(8, "little")


def test_a_projects_contract_comes_before_weft_s_own(tmp_path: Path) -> None:
    own = record("flights.Plane", "string")
    put(tmp_path, "flights.Plane", own)
    found = Contracts.load(tmp_path)
    assert found["flights.Plane"].schema == own
    assert found.by_fingerprint(built_in()["flights.Plane"].fingerprint) == built_in()["flights.Plane"]
    assert "flights.Departure" in found


def test_an_older_version_is_found_by_fingerprint_only(tmp_path: Path) -> None:
    put(tmp_path, "a.T", record("a.T", "long"))
    put(tmp_path, "a.T@1", record("a.T", "int"))
    found = Contracts.load(tmp_path)
    old = Contract.of(record("a.T", "int"))
    assert found["a.T"].schema["fields"][0]["type"] == "long"
    assert found.by_fingerprint(old.fingerprint) == old
    assert found.by_fingerprint(b"12345678") is None
    assert "a.T@1" not in found


def test_names_that_a_schema_refers_to_are_written_out(tmp_path: Path) -> None:
    put(tmp_path, "a.Inner", record("a.Inner", "int"))
    put(tmp_path, "a.Outer", record("a.Outer", "a.Inner"))
    found = Contracts.load(tmp_path)["a.Outer"].schema
    assert found["fields"][0]["type"]["fields"] == [{"name": "f", "type": "int"}]


def test_schemas_that_differ_in_logical_types_only_are_refused(tmp_path: Path) -> None:
    put(tmp_path, "a.T", record("a.T", {"type": "long", "logicalType": "timestamp-millis"}))
    put(tmp_path, "a.T@1", record("a.T", {"type": "long", "logicalType": "timestamp-micros"}))
    with pytest.raises(FlowError, match="logical types"):
        Contracts.load(tmp_path)


def test_schemas_that_differ_in_words_only_are_one(tmp_path: Path) -> None:
    put(tmp_path, "a.T", record("a.T", "long"))
    put(tmp_path, "a.T@1", record("a.T", {"type": "long"}) | {"doc": "older words"})
    assert Contracts.load(tmp_path)["a.T"].schema == record("a.T", "long")


@pytest.mark.parametrize("text", ["{", "[]", '"int"', json.dumps(record("a.T", "a.Gone")), "\xff"])
def test_a_file_that_is_no_schema_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.T.avsc").write_text(text, "latin-1")
    with pytest.raises(FlowError, match=r"a\.T\.avsc"):
        Contracts.load(tmp_path)


def test_a_file_named_otherwise_than_its_schema_is_refused(tmp_path: Path) -> None:
    put(tmp_path, "a.T", record("a.Other", "int"))
    with pytest.raises(FlowError, match=r"declares a\.Other") as caught:
        Contracts.load(tmp_path)
    assert caught.value.hint == "Name the file a.Other.avsc."


@pytest.mark.parametrize(
    "text",
    [
        '{"type": {"a": "record"}, "name": "T", "fields": []}',
        '{"name": "T", "fields": []}',
        '{"type": "record", "name": true, "fields": []}',
        '{"type": "record", "name": "T", "fields": [{"name": "f", "type": {"type": "../../etc/x"}}]}',
        '{"type": "record", "name": "T", "fields": [{"name": "f", "type": "' + "x" * 5_000 + '"}]}',
        "[" * 5_000,
        '{"type": "array", "items": ' * 3_000,
        '{"type": "record", "name": "T", "fields": null}',
        '{"type": "record", "name": "T", "fields": [{"name": 3, "type": "int"}]}',
        '{"type": "record", "name": "T", "fields": [{"name": "f", "type": {"type": "enum", "name": "E", "symbols": [1]}}]}',
        "3",
        "[1]",
        "\u0000",
    ],
)
def test_whatever_stands_in_a_schema_s_file_is_refused_in_a_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.T.avsc").write_text(text)
    with pytest.raises(FlowError, match=r"a\.T\.avsc is no Avro schema: ") as refused:
        Contracts.load(tmp_path)
    assert len(refused.value.sentence) < 1_000


def test_a_logical_type_that_is_none_is_passed_over() -> None:
    odd = {"type": "bytes", "logicalType": ["decimal"], "precision": "12", "scale": 1.5}
    assert Contract.of(record("T", odd)).schema == Contract.of(record("T", {"type": "bytes"})).schema
