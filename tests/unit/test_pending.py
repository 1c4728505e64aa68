"""Pending records and decisions: they come back as they went, and broken ones are refused."""

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import decision, pending
from schemas.decision import Action, Decision
from schemas.pending import Pending
from schemas.positions import Position

TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
INT = st.integers(-(2**31), 2**31 - 1)
LONG = st.integers(-(2**63), 2**63 - 1)
BYTES = st.none() | st.binary(max_size=20)
POSITIONS = st.builds(Position, TEXT, INT, LONG)

PENDINGS = st.builds(
    Pending, POSITIONS, INT, INT, TEXT, TEXT, TEXT, INT, TEXT, LONG, LONG, BYTES, BYTES,
    st.none() | st.lists(st.tuples(TEXT, BYTES), max_size=3), LONG, BYTES, INT, TEXT, TEXT, TEXT,
)  # fmt: skip
JSON = st.none() | st.booleans() | INT | TEXT
DECISIONS = st.builds(Decision, TEXT, st.sampled_from(Action), TEXT, TEXT, LONG, st.dictionaries(TEXT, JSON, max_size=3))


@given(PENDINGS)
def test_a_pending_record_comes_back_as_it_went(record: Pending) -> None:
    value = pending.encode(record)
    assert pending.decode(value) == record
    assert pending.kind(value) == "pending"


@given(DECISIONS)
def test_a_decision_comes_back_as_it_went(made: Decision) -> None:
    value = decision.encode(made)
    assert decision.decode(value) == made
    assert pending.kind(value) == "decision"


@given(PENDINGS, st.data())
def test_a_cut_or_prolonged_record_is_refused(record: Pending, data: Any) -> None:
    value = pending.encode(record)
    cut = data.draw(st.integers(0, len(value) - 1))
    with pytest.raises(ValueError, match="Pending"):
        pending.decode(value[:cut])
    with pytest.raises(ValueError, match="goes on"):
        pending.decode(value + b"\0")


@given(st.binary(max_size=40) | DECISIONS.map(decision.encode), st.integers(0, 400), st.integers(0, 7))
def test_hostile_bytes_are_refused_or_read_but_never_crash(value: bytes, at: int, bit: int) -> None:
    flipped = bytearray(value)
    if flipped:
        flipped[at % len(flipped)] ^= 1 << bit
    for module in (pending, decision):
        try:
            module.decode(bytes(flipped))
        except ValueError:
            continue


def test_a_foreign_value_is_of_no_kind() -> None:
    assert pending.kind(None) is None
    assert pending.kind(b"") is None
    assert pending.kind(b"\xc3\x01") is None


def test_a_record_with_a_field_of_another_type_is_refused() -> None:
    good = Pending(Position("t", 0, 1), 0, 0, "e", "f", "1", 0, "s", 0, 0, None, None, None, 0)
    assert pending.decode(pending.encode(good)) == good
    with pytest.raises(ValueError, match="Pending"):
        pending.encode(Pending(Position("t", 0, 1), 2**40, 0, "e", "f", "1", 0, "s", 0, 0, None, None, None, 0))


def test_packed_columns_come_back() -> None:
    when = pa.array([5], pa.timestamp("ms", "UTC"))
    columns = pa.RecordBatch.from_pydict({"a": pa.array([1]), "when": when, "n": pa.array([None], pa.string())})
    assert pending.unpack(pending.pack(columns)).equals(columns)
    for broken in (b"", b"nonsense", pending.pack(columns)[:-40], pending.pack(pa.concat_batches([columns, columns]))):
        with pytest.raises(ValueError, match="packed"):
            pending.unpack(broken)
