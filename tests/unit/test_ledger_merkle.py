"""Laws of the Merkle tree, against the recursive definition of RFC 9162."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.ledger import merkle

sizes = st.integers(0, 200)


def hashes(n: int) -> list[bytes]:
    return merkle.leaf_hashes(str(i).encode() for i in range(n))


def reference(nodes: list[bytes]) -> bytes:
    """MTH of RFC 9162, 2.1.1."""
    if not nodes:
        return sha256(b"").digest()
    if len(nodes) == 1:
        return nodes[0]
    split = 1 << (len(nodes) - 1).bit_length() - 1
    return merkle.node_hash(reference(nodes[:split]), reference(nodes[split:]))


@given(st.lists(sizes, max_size=6))
def test_appending_in_any_pieces_gives_the_root_of_the_whole(pieces: list[int]) -> None:
    every = hashes(sum(pieces))
    size = 0
    frontier: merkle.Frontier = ()
    for piece in pieces:
        frontier = merkle.append(size, frontier, every[size : size + piece])
        size += piece
    assert merkle.root(frontier) == reference(every)
    assert len(frontier) == size.bit_count()


@given(st.data())
def test_an_inclusion_proof_verifies_and_a_changed_one_does_not(data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 130))
    index = data.draw(st.integers(0, n - 1))
    every = hashes(n)
    path, top = merkle.inclusion_proof(every, index), reference(every)
    assert merkle.included(every[index], index, n, path, top)
    assert not merkle.included(every[index], index, n, path, b"\0" * 32)
    assert not merkle.included(b"\0" * 32, index, n, path, top)
    assert not merkle.included(every[index], index, n, [*path, b"\0" * 32], top)
    assert not merkle.included(every[index], n, n, path, top)
    if path:
        step = data.draw(st.integers(0, len(path) - 1))
        changed = [*path[:step], bytes(reversed(path[step])), *path[step + 1 :]]
        assert not merkle.included(every[index], index, n, changed, top)
        assert not merkle.included(every[index], index, n, path[:-1], top)


@given(st.data())
def test_a_climb_that_starts_in_the_middle_finds_the_same_path(data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 130))
    index = data.draw(st.integers(0, n - 1))
    start = data.draw(st.integers(0, index))
    cut = data.draw(st.integers(start, n))
    every = hashes(n)
    climb = merkle.Climb(index, start, merkle.append(0, (), every[:start]))
    assert climb.append(every[start:cut]).append(every[cut:]).path() == merkle.inclusion_proof(every, index)
    assert merkle.root(climb.frontier) == reference(every)


@given(st.data())
def test_a_consistency_proof_verifies_and_a_changed_one_does_not(data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 130))
    old = data.draw(st.integers(1, n))
    every = hashes(n)
    before, top = reference(every[:old]), reference(every)
    proof = merkle.consistency_proof(every, old)
    assert merkle.consistent(old, n, before, top, proof)
    assert not merkle.consistent(old, n, b"\0" * 32, top, proof)
    assert not merkle.consistent(old, n, before, b"\0" * 32, proof)
    assert not merkle.consistent(old, n, before, top, [*proof, b"\0" * 32])
    if proof:
        assert not merkle.consistent(old, n, before, top, proof[:-1])


def test_the_known_root_of_certificate_transparency_is_ours() -> None:
    inputs = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
    every = merkle.leaf_hashes(bytes.fromhex(text) for text in inputs)
    assert merkle.root(merkle.append(0, (), every)).hex() == "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"


def test_a_leaf_outside_the_tree_has_no_path() -> None:
    with pytest.raises(ValueError, match="not in a tree"):
        merkle.inclusion_proof(hashes(3), 3)
    with pytest.raises(ValueError, match="no tree of 4"):
        merkle.consistency_proof(hashes(3), 4)
