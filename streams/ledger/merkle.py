"""The Merkle tree of RFC 6962 and RFC 9162 over SHA-256, kept as its frontier: the roots of its complete subtrees, largest first.

The frontier of a tree of n leaves has one hash per set bit of n. It is all that is needed to append, and its fold is the root.
"""

from collections.abc import Iterable, Sequence
from hashlib import sha256

HASH_BYTES = 32
Frontier = tuple[bytes, ...]


def leaf_hash(leaf: bytes) -> bytes:
    """SHA-256(0x00 || leaf)."""
    return sha256(b"\x00" + leaf).digest()


def leaf_hashes(leaves: Iterable[bytes]) -> list[bytes]:
    """The hash of each leaf."""
    return [sha256(b"\x00" + leaf).digest() for leaf in leaves]


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 || left || right)."""
    return sha256(b"\x01" + left + right).digest()


def append(size: int, frontier: Frontier, hashes: Sequence[bytes]) -> Frontier:
    """The frontier once these leaf hashes stand behind the `size` leaves that were there."""
    return Climb(-1, size, frontier).append(hashes).frontier


def root(frontier: Frontier) -> bytes:
    """The root of the tree; SHA-256 of nothing when it is empty."""
    if not frontier:
        return sha256().digest()
    top = frontier[-1]
    for left in reversed(frontier[:-1]):
        top = node_hash(left, top)
    return top


class Climb:
    """A tree that grows, and meanwhile collects the inclusion path of one leaf at or behind its size. -1: of none."""

    def __init__(self, index: int, size: int = 0, frontier: Frontier = ()) -> None:
        self.index, self.size, self.frontier = index, size, frontier
        self._siblings: dict[int, bytes] = {}

    def append(self, hashes: Sequence[bytes]) -> "Climb":
        """Put leaf hashes behind those that are there, level by level."""
        level, below, right, nodes = 0, list(self.frontier), [], list(hashes)
        count = self.size
        while count or nodes:
            start = count  # index of nodes[0] within its level
            if count & 1:
                nodes.insert(0, below.pop())
                start -= 1
            self._note(level, start, nodes)
            if len(nodes) & 1:
                right.append(nodes.pop())
            pairs = iter(nodes)
            nodes = [sha256(b"\x01" + left + right).digest() for left, right in zip(pairs, pairs, strict=True)]
            count, level = count >> 1, level + 1
        self.size += len(hashes)
        self.frontier = tuple(reversed(right))
        return self

    def _note(self, level: int, start: int, nodes: Sequence[bytes]) -> None:
        if self.index < 0:
            return
        at = ((self.index >> level) ^ 1) - start
        if 0 <= at < len(nodes):
            self._siblings[level] = nodes[at]

    def path(self) -> list[bytes]:
        """The inclusion path at the present size, from the leaf's sibling up."""
        if not 0 <= self.index < self.size:
            raise ValueError(f"leaf {self.index} is not in a tree of {self.size}")
        path, level = [], 0
        while 1 << level < self.size:
            sibling = (self.index >> level) ^ 1
            if (sibling + 1) << level <= self.size:
                path.append(self._siblings[level])
            elif sibling << level < self.size:  # the ragged right edge: everything smaller than this level
                small = (self.size & ((1 << level) - 1)).bit_count()
                path.append(root(self.frontier[len(self.frontier) - small :]))
            level += 1
        return path


def inclusion_proof(hashes: Sequence[bytes], index: int) -> list[bytes]:
    """The path of leaf `index` in the tree of these leaf hashes (RFC 9162, 2.1.3.1)."""
    return Climb(index).append(hashes).path()


def consistency_proof(hashes: Sequence[bytes], old: int) -> list[bytes]:
    """That the tree of the first `old` leaf hashes is a prefix of the tree of all of them (RFC 9162, 2.1.4.1).

    Raises:
        ValueError: old is not in 1..n.
    """
    if not 1 <= old <= len(hashes):
        raise ValueError(f"no tree of {old} within one of {len(hashes)}")
    proof: list[bytes] = []
    low, high, whole = 0, len(hashes), True
    while low + old < high:
        split = 1 << (high - low - 1).bit_length() - 1
        if old <= split:
            proof.append(_root_of(hashes[low + split : high]))
            high = low + split
        else:
            proof.append(_root_of(hashes[low : low + split]))
            low, old, whole = low + split, old - split, False
    if not whole:
        proof.append(_root_of(hashes[low:high]))
    return proof[::-1]


def _root_of(hashes: Sequence[bytes]) -> bytes:
    return root(append(0, (), hashes))


def _sides(at: int, last: int, path: Sequence[bytes]) -> list[tuple[bytes, bool]] | None:
    """Each sibling on the way up, and whether it stands on the left; None if the path is of another length than the way."""
    steps = []
    for sibling in path:
        if last == 0:
            return None
        left = bool(at & 1) or at == last
        steps.append((sibling, left))
        while left and not at & 1 and at:
            at, last = at >> 1, last >> 1
        at, last = at >> 1, last >> 1
    return steps if last == 0 else None


def included(leaf: bytes, index: int, size: int, path: Sequence[bytes], top: bytes) -> bool:
    """Whether the path proves that the leaf hash stands at `index` of the tree with that size and root (RFC 9162, 2.1.3.2)."""
    steps = _sides(index, size - 1, path) if 0 <= index < size else None
    if steps is None:
        return False
    for sibling, left in steps:
        leaf = node_hash(sibling, leaf) if left else node_hash(leaf, sibling)
    return leaf == top


def consistent(old: int, size: int, old_top: bytes, top: bytes, proof: Sequence[bytes]) -> bool:
    """Whether the proof shows the old tree to be a prefix of the new one (RFC 9162, 2.1.4.2)."""
    if old == size:
        return not proof and old_top == top
    path = [old_top, *proof] if old & (old - 1) == 0 else list(proof)
    if not 0 < old < size or not path:
        return False
    whole = (old & -old).bit_length() - 1  # levels of the old tree's last complete subtree
    steps = _sides(old - 1 >> whole, size - 1 >> whole, path[1:])
    if steps is None:
        return False
    first = second = path[0]
    for sibling, left in steps:
        if left:
            first = node_hash(sibling, first)
        second = node_hash(sibling, second) if left else node_hash(second, sibling)
    return first == old_top and second == top
