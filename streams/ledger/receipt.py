"""The receipt: proof that one decision is in the log, verified offline (C2SP tlog-proof, with the leaf as its extra data)."""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from streams.ledger import checkpoint as signed
from streams.ledger import merkle
from streams.ledger.key import Verifier
from streams.ledger.leaf import Leaf
from streams.ledger.leaf import decode as read_leaf

_FIRST = "c2sp.org/tlog-proof@v1"


@dataclass(frozen=True, slots=True)
class Receipt:
    """A leaf, its inclusion path, and the signed head of its tree."""

    leaf: bytes
    index: int
    path: tuple[bytes, ...]
    checkpoint: bytes

    def encode(self) -> bytes:
        """The proof as text."""
        lines = [_FIRST, f"extra {_text(self.leaf)}", f"index {self.index}", *map(_text, self.path), "", ""]
        return "\n".join(lines).encode() + self.checkpoint

    @classmethod
    def decode(cls, text: bytes) -> Self:
        """Read a receipt.

        Raises:
            ValueError: it is none.
        """
        front, blank, note = text.partition(b"\n\n")
        lines = front.decode().split("\n")
        if not blank or len(lines) < 3 or lines[0] != _FIRST or not lines[1].startswith("extra ") or not lines[2].startswith("index "):
            raise ValueError(f"a receipt starts with {_FIRST}, its extra data and its index")
        index = lines[2].removeprefix("index ")
        if not (index.isascii() and index.isdigit()) or index != str(int(index)):
            raise ValueError("the receipt's index is not a number")
        path = tuple(_bytes(line) for line in lines[3:])
        if any(len(step) != merkle.HASH_BYTES for step in path):
            raise ValueError("a step of the receipt's path is not a SHA-256 hash")
        return cls(_bytes(lines[1].removeprefix("extra ")), int(index), path, note)

    def verify(self, verifiers: Sequence[Verifier]) -> tuple[Leaf, signed.Head]:
        """The decision, once it is proven to be in the log whose head a known key signed.

        Raises:
            ValueError: it is not proven; the message says why.
        """
        head = signed.verify(self.checkpoint, verifiers)
        if not merkle.included(merkle.leaf_hash(self.leaf), self.index, head.size, self.path, head.root):
            raise ValueError("the path does not lead from the decision to the signed head")
        return read_leaf(self.leaf), head


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"the receipt holds bad base64: {error}") from error
