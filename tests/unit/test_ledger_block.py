"""Blocks carry a batch whole, each under the broker's limit."""

import os
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.positions import Source
from streams.ledger import block
from streams.ledger.block import Content, pack, pack_gap, unpack
from streams.ledger.tree import Tree

EMPTY = Tree.empty("weft", "f", Source("t", 3), "id")


def content(leaves: list[bytes], details: list[bytes]) -> Content:
    offsets = np.arange(len(leaves), dtype=np.int64) * 2 + 100
    return Content(100, int(offsets[-1]) + 2 if len(offsets) else 100, offsets, leaves, details, '{"type": "null"}', '[{"kind": "drift"}]')


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(st.binary(max_size=60), st.binary(max_size=90)), min_size=1, max_size=40), st.integers(0, 20))
def test_a_batch_comes_back_from_its_blocks(rows: list[tuple[bytes, bytes]], before: int) -> None:
    leaves, details = [row[0] for row in rows], [row[1] for row in rows]
    old = EMPTY.extended([b"old"] * before).landed(41)
    values, tree = pack(old, content(leaves, details))
    assert len(values) == 1
    read = unpack(values[0])
    assert (read.leaves(), read.details()) == (leaves, details)
    assert tree == old.extended(leaves)
    assert (read.old_size, read.new_size, read.root, read.frontier) == (before, tree.size, tree.root(), tree.frontier)
    assert (read.first, read.next, read.previous, read.gap) == (100, 100 + 2 * len(rows), 41, None)
    assert read.tree(50) == tree.landed(50)


def test_a_large_batch_is_several_blocks_that_follow_each_other() -> None:
    leaves = [os.urandom(250) for _ in range(9_000)]
    details = [os.urandom(100) for _ in leaves]
    values, tree = pack(EMPTY, content(leaves, details))
    blocks = [unpack(value) for value in values]
    assert len(blocks) >= 4
    assert all(len(value) <= block.LIMIT_BYTES for value in values)
    assert [leaf for read in blocks for leaf in read.leaves()] == leaves
    assert [detail for read in blocks for detail in read.details()] == details
    assert [read.part for read in blocks] == list(range(len(blocks)))
    for one, two in pairwise(blocks):
        assert (one.next, one.new_size) == (two.first, two.old_size)
    assert (blocks[0].first, blocks[-1].next, blocks[-1].root) == (100, 18_100, tree.root())
    assert [read.signals for read in blocks] == ['[{"kind": "drift"}]', *["[]"] * (len(blocks) - 1)]


def test_details_that_no_block_can_hold_are_left_out_and_their_leaf_is_kept() -> None:
    values, tree = pack(EMPTY, content([b"leaf", b"next"], [os.urandom(block.LIMIT_BYTES + 1), b"small"]))
    blocks = [unpack(value) for value in values]
    assert [read.details() for read in blocks] == [[None], [b"small"]]
    assert [leaf for read in blocks for leaf in read.leaves()] == [b"leaf", b"next"]
    assert tree.size == 2


def test_a_gap_has_no_leaves_and_says_why() -> None:
    old = EMPTY.extended([b"a"]).landed(4)
    value, tree = pack_gap(old, 7, 90, "new id", "ops: the topic was made again")
    read = unpack(value)
    assert (read.first, read.next, read.gap, read.topic_id) == (7, 90, "ops: the topic was made again", "new id")
    assert (read.old_size, read.new_size, read.leaves(), read.root) == (1, 1, [], old.root())
    assert (tree.topic_id, tree.size) == ("new id", 1)


def test_a_changed_block_is_refused_or_differs() -> None:
    value = pack(EMPTY, content([b"leaf"] * 20, [b""] * 20))[0][0]
    for bad in (b"", value[:-1], value + b"\0", b"\xc3\x01" + value[2:10][::-1] + value[10:]):
        with pytest.raises(ValueError, match=r"."):
            unpack(bad)


def test_a_block_that_lies_about_its_contents_is_refused() -> None:
    value = pack(EMPTY, content([b"leaf"] * 20, [b""] * 20))[0][0]
    read = unpack(value)
    fields = {
        name: getattr(read, name)
        for name in ("origin", "source", "topic_id", "first", "next", "old_size", "root", "frontier", "previous", "part")
    }
    fields |= {"details_schema": "", "signals": "", "gap": None, "packed_details": read.packed_details}
    for packed, size in (
        (read.packed_leaves, 19),
        ((read.packed_leaves[0], 1 << 40), 20),
        ((read.packed_leaves[0][:-3], 160), 20),
        ((b"", 1), 20),
    ):
        with pytest.raises(ValueError, match=r"."):
            block.Block(new_size=size, packed_leaves=packed, **fields).leaves()
