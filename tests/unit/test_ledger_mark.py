"""The mark survives the way through a committed offset's metadata, and nothing else passes for one."""

import base64
import os

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.positions import Source
from streams.ledger import merkle
from streams.ledger.mark import LIMIT_BYTES, Mark, Waiting
from streams.ledger.tree import Tree

big = st.integers(0, 2**62)
waitings = st.none() | st.builds(Waiting, big, st.integers(0, 100), big, big)


@given(st.text(max_size=40), big, st.integers(-1, 2**62), waitings)
def test_a_mark_comes_back_as_it_was_and_fits_the_offsets_metadata(topic_id: str, size: int, last: int, waiting: Waiting | None) -> None:
    mark = Mark(topic_id, size, tuple(os.urandom(32) for _ in range(size.bit_count())), last, waiting)
    text = mark.encode()
    assert len(text.encode()) <= LIMIT_BYTES
    assert Mark.decode(text) == mark


def test_a_tree_comes_back_from_its_mark() -> None:
    source = Source("flights.departures", 2)
    tree = Tree.empty("weft", "departure-delays", source, "id").extended([b"a", b"b", b"c"]).landed(7)
    assert Mark.of(tree).tree("weft", "departure-delays", source) == tree
    assert tree.origin == "weft/departure-delays/flights.departures/2"


@given(st.text(max_size=60))
def test_other_text_is_no_mark(text: str) -> None:
    with pytest.raises(ValueError, match="mark"):
        Mark.decode(text)


@given(st.binary(max_size=60))
def test_other_bytes_are_no_mark(raw: bytes) -> None:
    with pytest.raises(ValueError, match="mark"):
        Mark.decode(base64.b64encode(raw).decode())


@pytest.mark.parametrize(
    "parts",
    [
        [2, "id", 0, b"", -1, None],
        [1, "id", 1, b"", -1, None],
        [1, "id", 0, b"", -1],
        [1, 5, 0, b"", -1, None],
        [1, "id", True, b"", -1, None],
        [1, "id", 0, b"", -1, [1, 2]],
        [1, "id", 0, b"", -1, [1, 2, 3, "4"]],
        {"a": 1},
    ],
)
def test_a_mark_with_wrong_parts_is_refused(parts: object) -> None:
    with pytest.raises(ValueError, match="mark"):
        Mark.decode(base64.b64encode(cbor2.dumps(parts)).decode())


def test_a_tree_is_extended_without_changing_the_one_before() -> None:
    empty = Tree.empty("weft", "f", Source("t", 0), "id")
    one = empty.extended([b"a"])
    assert (empty.size, one.size) == (0, 1)
    assert one.root() == merkle.leaf_hash(b"a")
    assert one.extended([]).root() == one.root()
