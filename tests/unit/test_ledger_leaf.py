"""The leaf is what cbor2's canonical encoding makes of its fields, whatever they are."""

from dataclasses import replace
from hashlib import sha256
from typing import Any

import cbor2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.positions import Position, Source
from streams.ledger import leaf
from streams.ledger.leaf import Leaves

words = st.text(max_size=30)
ids = st.text(max_size=300)
offsets = st.integers(0, 2**63 - 1)
digests = st.binary(min_size=32, max_size=32)
small = st.integers(0, 300)
positions = st.builds(Position, words, small, offsets)
kinds = st.tuples(st.sampled_from(["result", "dead-letter", "retry"]), words, words, words, st.booleans())
rows = st.tuples(
    offsets,
    positions,
    small,
    small,
    ids,
    kinds,
    digests,
    digests | st.just(b""),
    st.binary(max_size=40),
    st.binary(min_size=16, max_size=16),
)


PLAIN = (0, None, 0, 0, "id", ("result", "", "", "", False), b"a" * 32, b"", b"", b"s" * 16)


def built(source: Source, flow: str, given_rows: list[Any], own_roots: bool) -> Leaves:
    return Leaves(
        source,
        flow,
        np.array([row[0] for row in given_rows], np.int64),
        [row[4] for row in given_rows],
        [leaf.Kind(*row[5]) for row in given_rows],
        range(len(given_rows)),
        [row[6] for row in given_rows],
        [row[7] for row in given_rows],
        [row[8] for row in given_rows],
        [row[9] for row in given_rows],
        roots=None if own_roots else [row[1] for row in given_rows],
        generations=None if own_roots else [row[2] for row in given_rows],
        passes=None if own_roots else [row[3] for row in given_rows],
    )


@given(st.builds(Source, words, small), words, st.lists(rows, max_size=5), st.booleans())
def test_leaves_are_canonical_cbor_and_come_back(source: Source, flow: str, given_rows: list[Any], own_roots: bool) -> None:
    encoded = leaf.encode(built(source, flow, given_rows, own_roots))
    assert len(encoded) == len(given_rows)
    for raw, (offset, root, generation, number, event, kind, taken, out, details, salt) in zip(encoded, given_rows, strict=True):
        own = [*source, offset]
        trip = [own, 0, 0] if own_roots else [list(root), generation, number]
        bounded = leaf.bounded_id(event)
        fields = [1, own, *trip, bounded, flow, *kind, taken, out, sha256(details).digest(), salt]
        assert raw == cbor2.dumps(fields, canonical=True)
        read = leaf.decode(raw)
        assert read.position == Position(*own)
        assert (read.event_id, read.verdict, read.degraded, read.output) == (bounded, kind[0], kind[4], out)


@pytest.mark.parametrize("edge", [24, 1 << 8, 1 << 16, 1 << 32])
@pytest.mark.parametrize("by", [-2, -1, 0])
def test_offsets_of_any_width_take_their_fewest_bytes(edge: int, by: int) -> None:
    encoded = leaf.encode(built(Source("t", 0), "f@1", [(edge + by, *PLAIN[1:]), (edge + by + 1, *PLAIN[1:])], True))
    assert [leaf.decode(raw).position.offset for raw in encoded] == [edge + by, edge + by + 1]


def test_an_id_too_long_for_a_leaf_is_replaced_by_its_digest() -> None:
    long = "x" * (leaf.EVENT_ID_BYTES + 1)
    assert leaf.bounded_id(long) == "sha256:" + sha256(long.encode()).hexdigest()
    row = (0, None, 0, 0, long, ("result", "", "", "", False), b"a" * 32, b"", b"", b"s" * 16)
    assert leaf.decode(leaf.encode(built(Source("t", 0), "f@1", [row], True))[0]).event_id == leaf.bounded_id(long)


def test_null_and_empty_have_different_digests() -> None:
    pairs = [(None, None), (None, b""), (b"", None), (b"", b""), (b"a", b"b"), (b"ab", b""), (b"", b"ab")]
    keys, values = zip(*pairs, strict=True)
    assert len(set(leaf.digests(keys, values))) == len(pairs)


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_random_bytes_are_no_leaf(raw: bytes, more: bytes) -> None:
    for bad in (raw, b"\x90\x01" + more):
        with pytest.raises(ValueError, match="leaf"):
            leaf.decode(bad)


def test_salts_are_cut_from_one_draw_of_randomness() -> None:
    assert leaf.salts(2, bytes(range(32))) == [bytes(range(16)), bytes(range(16, 32))]


@pytest.mark.parametrize(
    "raw", [b"", b"\xff", cbor2.dumps([2] * 16), cbor2.dumps([1] * 16), cbor2.dumps([1, 2]), cbor2.dumps({}), b"\x90\x01"]
)
def test_other_bytes_are_no_leaf(raw: bytes) -> None:
    with pytest.raises(ValueError, match="not a leaf"):
        leaf.decode(raw)


WHOLE: list[Any] = [1, ["t", 0, 7], ["t", 0, 7], 0, 0, "id", "f@1", "result", "", "", "", False, b"a" * 32, b"", b"d" * 32, b"s" * 16]


def changed(at: int, field: Any) -> bytes:
    return cbor2.dumps([*WHOLE[:at], field, *WHOLE[at + 1 :]])


SPOILT = {
    "bytes behind it": cbor2.dumps(WHOLE) + b"\0",
    "an indefinite length": b"\x9f" + cbor2.dumps(WHOLE)[1:] + b"\xff",
    "a long head": b"\x98\x10" + cbor2.dumps(WHOLE)[1:],
    "a long number": b"\x90\x18\x01" + cbor2.dumps(WHOLE)[2:],
    "a reference to a shared value": changed(1, cbor2.CBORTag(28, WHOLE[1])).replace(b"\x83at\0\x07", b"\xd8\x1d\0"),
    "a version that is true": changed(0, True),
    "a version that is a float": changed(0, 1.0),
    "a generation below zero": changed(3, -5),
    "a pass that is true": changed(4, True),
    "an offset below zero": changed(1, ["t", 0, -1]),
    "a partition of text": changed(2, ["t", "0", 7]),
    "a position too long": changed(2, ["t", 0, 7, 7]),
    "a verdict that is a list": changed(7, ["result"]),
    "a degraded that is a number": changed(11, 0),
    "an input digest too short": changed(12, b"a" * 31),
    "an output digest too short": changed(13, b"a"),
    "a salt of text": changed(15, "s" * 16),
}


@pytest.mark.parametrize("raw", SPOILT.values(), ids=SPOILT.keys())
def test_a_leaf_that_is_not_in_its_one_form_is_none(raw: bytes) -> None:
    assert leaf.decode(cbor2.dumps(WHOLE)).position == Position("t", 0, 7)
    with pytest.raises(ValueError, match="not a leaf"):
        leaf.decode(raw)


def test_columns_of_different_lengths_are_refused() -> None:
    leaves = built(Source("t", 0), "f@1", [PLAIN, PLAIN], True)
    for short in ("event_ids", "kind", "inputs", "outputs", "details", "salts"):
        with pytest.raises(ValueError, match=r"zip"):
            leaf.encode(replace(leaves, **{short: getattr(leaves, short)[:1]}))
