"""An independent verifier of a whole ledger, after docs/ledger.md alone: trees rebuilt, signed heads compared. Nothing of Weft."""

import io
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cramjam
import fastavro

from tests.contract.verifier import fields_of, head, need, sha

BLOCK: Any = fastavro.schema.load_schema(str(Path(__file__).parents[2] / "schemas" / "avro" / "weft.LedgerBlock.avsc"))
FRAME = 10  # bytes of Avro's single-object header


@dataclass(slots=True)
class Tree:
    """A tree as far as its blocks have been read: the roots of its complete subtrees, largest first, each with its number of leaves."""

    origin: str
    subtrees: list[tuple[int, bytes]] = field(default_factory=list)
    size: int = 0
    next: int = 0  # consumed offset behind the last block
    signed: int = 0  # of its largest signed head

    def add(self, leaf: bytes) -> None:
        width, value = 1, sha(b"\0" + leaf)
        while self.subtrees and self.subtrees[-1][0] == width:
            value = sha(b"\1" + self.subtrees.pop()[1] + value)
            width *= 2
        self.subtrees.append((width, value))
        self.size += 1

    def root(self) -> bytes:
        if not self.subtrees:
            return sha(b"")
        value = self.subtrees[-1][1]
        for _, left in reversed(self.subtrees[:-1]):
            value = sha(b"\1" + left + value)
        return value


@dataclass(slots=True)
class Whole:
    """What was proven: the trees by origin, and the leaves in the order of the blocks."""

    trees: dict[str, Tree] = field(default_factory=dict)
    leaves: list[dict[str, Any]] = field(default_factory=list)
    heads: int = 0


def verify(blocks: Iterable[bytes], notes: Sequence[bytes], vkeys: Sequence[str]) -> Whole:
    """The ledger's records in their order, and all checkpoints; ValueError or another error where something does not hold."""
    found, due = Whole(heads=len(notes)), signed(notes, vkeys)
    for value in blocks:
        block: Any = fastavro.schemaless_reader(io.BytesIO(value[FRAME:]), BLOCK, None)
        _block(block, found, due)
    for origin, heads in due.items():
        need(origin in found.trees and not heads, f"{origin} has heads of sizes {sorted(heads)[:5]} that it never had")
    return found


def signed(notes: Iterable[bytes], vkeys: Sequence[str]) -> dict[str, dict[int, bytes]]:
    """The signed heads by origin and size. No two of one size may differ."""
    keys = {vkey.split("+", 1)[0]: vkey for vkey in vkeys}
    found: dict[str, dict[int, bytes]] = defaultdict(dict)
    for note in notes:
        text, signatures = note.decode().split("\n\n")
        origin = text.split("\n")[0]
        size, root = head(text, signatures, keys[origin])
        need(size > 0 and found[origin].setdefault(size, root) == root, f"{origin} was signed twice at {size}, or empty")
    return found


def _block(block: Mapping[str, Any], found: Whole, due: Mapping[str, dict[int, bytes]]) -> None:
    origin, leaves = block["origin"], list(_leaves(block))
    new = origin not in found.trees
    tree = found.trees.setdefault(origin, Tree(origin))
    need(block["gap"] is None, f"{origin} has a gap: {block['gap']}")
    need(block["old_size"] == tree.size and (new or block["first"] == tree.next), f"{origin} does not go on where it was at {tree.size}")
    need(block["new_size"] == tree.size + len(leaves), f"{origin} has {len(leaves)} leaves more at {tree.size}")
    heads = due.get(origin, {})
    last = block["first"] - 1
    for leaf in leaves:
        tree.add(leaf)
        if tree.size in heads:
            need(heads.pop(tree.size) == tree.root(), f"{origin} has another root than the one signed at {tree.size}")
            tree.signed = tree.size
        fields = fields_of(leaf)
        topic, partition, offset = fields["position"]
        need((topic, partition) == (block["topic"], block["partition"]), f"{origin} has a leaf of {topic}/{partition}")
        need(last < offset < block["next"], f"{origin} has a leaf of {offset} behind {last}, before {block['next']}")
        last = offset
        found.leaves.append(fields)
    need(block["root"] == tree.root(), f"{origin} has another root at {tree.size} than its block")
    need(block["frontier"] == [value for _, value in tree.subtrees], f"{origin} has another frontier at {tree.size}")
    tree.next = block["next"]


def _leaves(block: Mapping[str, Any]) -> Iterator[bytes]:
    raw = bytes(cramjam.zstd.decompress(block["leaves"])) if block["leaves"] else b""
    need(len(raw) == block["leaves_bytes"], "the leaves have another length than the block says")
    at = 0
    while at < len(raw):
        length = int.from_bytes(raw[at : at + 4], "big")
        yield raw[at + 4 : at + 4 + length]
        at += 4 + length
