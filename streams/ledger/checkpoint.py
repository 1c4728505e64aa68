"""The checkpoint: a tree's head, signed (C2SP tlog-checkpoint inside a C2SP signed-note)."""

import base64
import binascii
from collections.abc import Sequence
from typing import NamedTuple

from streams.ledger.key import ID_BYTES, LogKey, Verifier
from streams.ledger.merkle import HASH_BYTES
from streams.ledger.tree import Tree

_DASH = "\N{EM DASH} "
LIMIT_BYTES = 65_536


class Head(NamedTuple):
    """What a checkpoint says."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """The text that is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def head(tree: Tree) -> Head:
    """The head of a tree."""
    return Head(tree.origin, tree.size, tree.root())


def sign(signed: Head, key: LogKey) -> bytes:
    """The checkpoint of a head: equal bytes for an equal head, whoever signs it with this key."""
    text = signed.text
    name = signed.origin  # tlog-checkpoint: the key's name should be the origin
    signature = key.verifier(name).id + key.sign(text.encode())
    return f"{text}\n{_DASH}{name} {base64.b64encode(signature).decode()}\n".encode()


def parse(note: bytes) -> tuple[Head, list[tuple[str, bytes]]]:
    """The head and the signatures (key name; id and signature) of a checkpoint, not verified.

    Raises:
        ValueError: it is none.
    """
    if len(note) > LIMIT_BYTES:
        raise ValueError("the checkpoint is too large")
    text, blank, tail = note.decode().rpartition("\n\n")
    lines = text.split("\n")
    if not blank or len(lines) != 3 or not lines[0] or not tail.endswith("\n"):
        raise ValueError("a checkpoint has an origin, a size and a root, a blank line and signatures")
    if not (lines[1].isascii() and lines[1].isdigit()) or lines[1] != str(int(lines[1])):
        raise ValueError("the checkpoint's size is not a number")
    top = _decoded(lines[2])
    if len(top) != HASH_BYTES:
        raise ValueError("the checkpoint's root is not a SHA-256 hash")
    return Head(lines[0], int(lines[1]), top), [_signature(line) for line in tail[:-1].split("\n")]


def verify(note: bytes, verifiers: Sequence[Verifier]) -> Head:
    """The head that a checkpoint says, once a known key's signature on it holds.

    Raises:
        ValueError: it is no checkpoint, or no known key signed it.
    """
    found, signatures = parse(note)
    known = {(verifier.name, verifier.id): verifier for verifier in verifiers}
    signed = False
    for name, signature in signatures:
        verifier = known.get((name, signature[:ID_BYTES]))
        if verifier is None:
            continue
        if not verifier.verifies(signature[ID_BYTES:], found.text.encode()):
            raise ValueError(f"the signature of {name} does not fit the checkpoint")
        signed = signed or name == found.origin
    if not signed:
        raise ValueError(f"no known key of {found.origin} signed the checkpoint")
    return found


def _signature(line: str) -> tuple[str, bytes]:
    name, space, encoded = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH) or not name or not space:
        raise ValueError("a signature line has a dash, a name and a signature")
    return name, _decoded(encoded)


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"the checkpoint holds bad base64: {error}") from error
