"""The ends of a flow: what is decoded, what is written, and what the details hold."""

import datetime as dt
from typing import Any, get_args

import numpy as np
import pyarrow as pa
import pytest
from fastavro import parse_schema
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.flow.project import FolderProject
from processors.flow.registry import registry_of
from processors.flow.writers import STEP, WHY, ResultWriter, details_writer, result_writer
from processors.step import Batch, Headers, Intake, Rows
from processors.steps.decode import KEY_BYTES, DecodeStep, Tombstones
from schemas.codecs.encodings import Written, decoder, envelope
from schemas.codecs.frame import Frame
from schemas.codecs.registry import MemoryRegistry
from schemas.contracts import Contract, built_in
from schemas.errors import FlowError
from schemas.headers import OVERSIZED
from schemas.positions import Source
from schemas.vocabulary import Reason, Verdict
from tests.unit.test_codec_avro import written

PLANE = built_in()["flights.Plane"]
REGISTRY = MemoryRegistry({7: PLANE})
PLANES = pa.RecordBatch.from_pydict({
    "year": pa.array([None, 1999], pa.int32()), "seats": pa.array([149, 2], pa.int32()), "engines": pa.array([2, 1], pa.int32()),
})  # fmt: skip
SINGLE = Frame.single_object(PLANE.fingerprint).prefix


@pytest.mark.parametrize("encoding", get_args(Written))
def test_every_encoding_is_read_as_it_was_written(encoding: Written) -> None:
    wide = PLANES.append_column("other", pa.array(["x", "y"]))
    values, around = ResultWriter(PLANE, encoding, REGISTRY).encode(wide), envelope(encoding)
    if around is not None:
        values = around.around(values, [[("ce_specversion", b"1.0"), ("ce_id", b"1"), ("ce_source", b"/s"), ("ce_type", b"t")]] * 2)
    columns = decoder(PLANE, encoding, built_in(), REGISTRY).decode(values).columns
    assert columns.select(PLANES.schema.names).to_pylist() == PLANES.to_pylist()


@pytest.mark.parametrize("encoding", get_args(Written))
def test_no_rows_are_no_values(encoding: Written) -> None:
    assert ResultWriter(PLANE, encoding, REGISTRY).encode(PLANES.slice(0, 0)) == []
    decoded = decoder(PLANE, encoding, built_in(), REGISTRY).decode([])
    assert decoded.columns.num_rows == 0
    assert decoded.columns.schema.names[:3] == PLANES.schema.names


def test_columns_are_widened_defaults_filled_and_nothing_is_lost() -> None:
    kind = {"type": "long", "logicalType": "timestamp-micros"}
    fields = [{"name": "n", "type": "long"}, {"name": "t", "type": kind}, {"name": "d", "type": "string", "default": "?"}]
    contract = Contract.of({"type": "record", "name": "T", "fields": fields})
    writer = result_writer(contract, "avro-single-object")
    given = pa.RecordBatch.from_pydict({"n": pa.array([1], pa.int32()), "t": pa.array([5], pa.timestamp("ms", "UTC"))})
    assert writer.encode(given)[0][10:] == written(contract.schema, {"n": 1, "t": 5000, "d": "?"})
    assert writer.content_type == "application/avro"
    for wrong in (pa.array([1.5]), pa.array(["1"]), pa.array([None], pa.int64())):
        with pytest.raises(ValueError, match="column n"):
            writer.encode(given.set_column(0, "n", wrong))
    with pytest.raises(ValueError, match="no column t"):
        writer.encode(given.select(["n"]))
    with pytest.raises(FlowError, match="no id"):
        result_writer(contract, "avro-confluent", REGISTRY)


DETAILS: dict[str, tuple[pa.DataType, st.SearchStrategy[Any]]] = {
    "text": (pa.string(), st.text(st.characters(codec="utf-8"), max_size=4)),
    "plane.year": (pa.int32(), st.integers(-(2**31), 2**31 - 1)),
    "plane_year": (pa.uint8(), st.integers(0, 255)),
    "2nd": (pa.float64(), st.floats(allow_nan=False)),
    "at": (pa.timestamp("ms", "UTC"), st.datetimes(timezones=st.just(dt.UTC)).map(lambda at: at.replace(microsecond=0))),
    "yes": (pa.bool_(), st.booleans()),
    "raw": (pa.binary(), st.binary(max_size=4)),
    "day": (pa.date32(), st.dates()),
}
ODD = {"list": pa.list_(pa.int64()), "big": pa.uint64(), "word": pa.dictionary(pa.int8(), pa.string())}
KINDS = {name: kind for name, (kind, _) in DETAILS.items()} | ODD
DETAIL_ROWS = st.lists(st.fixed_dictionaries({name: st.none() | values for name, (_, values) in DETAILS.items()}), max_size=4)
WRITER = details_writer("a-flow", KINDS)


@settings(deadline=None)
@given(DETAIL_ROWS, st.sets(st.sampled_from(sorted(DETAILS))))
def test_details_hold_whichever_columns_are_there(rows: list[dict[str, Any]], there: set[str]) -> None:
    arrays = [pa.array([row[name] for row in rows], KINDS[name]) for name in there]
    columns = pa.RecordBatch.from_arrays([pa.nulls(len(rows)), *arrays], ["unknown", *there])
    expected = [{name: row[name] for name in there if row[name] is not None} for row in rows]
    assert [WRITER.decode(value) for value in WRITER.encode(columns)] == expected


def test_details_write_what_avro_has_no_type_for_as_json() -> None:
    word = pa.DictionaryArray.from_arrays(pa.array([0], pa.int8()), pa.array(["w"]))
    columns = pa.RecordBatch.from_arrays([pa.array([[1, 2]]), pa.array([2**64 - 1], pa.uint64()), word], list(ODD))
    assert WRITER.decode(WRITER.encode(columns)[0]) == {"list": "[1,2]", "big": "18446744073709551615", "word": "w"}


def test_the_schema_of_details_explains_itself() -> None:
    parsed: Any = parse_schema(dict(WRITER.schema))
    assert [field["name"] for field in parsed["fields"]][:4] == ["text", "plane_year", "plane_year_", "_2nd"]
    assert [field["column"] for field in parsed["fields"]] == [*KINDS, STEP, WHY]
    with pytest.raises(ValueError, match="byte"):
        WRITER.decode(b"\x09")


def batch_of(
    values: list[bytes | None],
    origin: Rows | None = None,
    keys: list[bytes | None] | None = None,
    headers: list[Headers] | None = None,
) -> Batch:
    count = len(values)
    zeros = np.zeros(count, np.int64)
    intake = Intake((Source("t", 0),), np.zeros(count, np.int16), np.arange(count), zeros, keys or [None] * count, values, headers, 0)
    rows = np.arange(count, dtype=np.int64) if origin is None else origin
    return Batch(pa.RecordBatch.from_pylist([{}] * len(rows), pa.schema([])), rows, intake)


ONE = SINGLE + written(PLANE.schema, {"year": None, "seats": 1, "engines": 2})
FATES: dict[str, tuple[bytes | None, Reason]] = {
    "good": (ONE, Reason.NONE),
    "null": (None, Reason.TOMBSTONE),
    "cut": (ONE[:-1], Reason.TRUNCATED),
    "long": (ONE + b"\0", Reason.TRAILING_BYTES),
    "large": (ONE + b"x" * 100, Reason.TOO_LARGE),
    "foreign": (b"\xc3\x01" + b"z" * 20, Reason.UNKNOWN_SCHEMA),
    "empty": (b"", Reason.TRUNCATED),
    "hard": (ONE, Reason.TOO_LARGE),
    "hard null": (None, Reason.TOO_LARGE),
    "hard and large": (ONE + b"x" * 100, Reason.TOO_LARGE),
    "unread": (None, Reason.TOO_LARGE),
}
KEYS = {"hard": b"k" * (KEY_BYTES + 1), "unread": None}


@settings(deadline=None)
@given(st.lists(st.sampled_from(sorted(FATES)), max_size=20), st.sampled_from(["filtered", "dead-letter"]), st.data())
async def test_every_event_is_a_row_or_leaves_with_its_reason(fates: list[str], tombstones: Tombstones, data: Any) -> None:
    step = DecodeStep("decode", decoder(PLANE, "avro-single-object", built_in()), 60, tombstones)
    origin = np.array(sorted(data.draw(st.sets(st.sampled_from(range(len(fates)))))) if fates else [], np.int64)
    keys = [KEYS.get(fate.split()[0], b"k" * KEY_BYTES) for fate in fates]
    headers: list[Headers] = [[OVERSIZED] if fate == "unread" else [] for fate in fates]
    stepped = await step.run(batch_of([FATES[fate][0] for fate in fates], origin, keys, headers), {})
    reasons = {int(row): leave.reason for leave in stepped.leaves for row in leave.rows}
    assert sum(len(leave.rows) for leave in stepped.leaves) == len(reasons)
    assert [reasons.get(at, Reason.NONE) for at in range(len(origin))] == [FATES[fates[row]][1] for row in origin]
    assert stepped.batch.origin.tolist() == [row for row in origin.tolist() if fates[row] == "good"]
    assert stepped.batch.columns.num_rows == len(stepped.batch)
    for leave in stepped.leaves:
        assert leave.verdict == (tombstones if leave.reason == Reason.TOMBSTONE else Verdict.DEAD_LETTER)
        assert leave.sentence or (leave.sentences and len(leave.sentences) == len(leave.rows))


def test_a_project_names_its_registry_ids_by_files(tmp_path: Any) -> None:
    (tmp_path / "schemas" / "registry").mkdir(parents=True)
    file = tmp_path / "schemas" / "registry" / "42.avsc"
    file.write_text(PLANE.text)
    registry = registry_of(FolderProject(tmp_path))
    assert registry.schemas([42, 43]) == {42: PLANE, 43: None}
    assert registry.schema_id(PLANE, "t-value") == 42
    file.rename(file.with_name("x.avsc"))
    with pytest.raises(FlowError, match=r"x\.avsc"):
        registry_of(FolderProject(tmp_path))
