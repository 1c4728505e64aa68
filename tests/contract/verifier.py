"""An independent verifier of receipts, after docs/ledger.md alone: it imports nothing of Weft."""

import base64
import hashlib
import sys
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

NAMES = "version position root generation pass event flow verdict reason rule model degraded input output details salt"


def need(holds: bool, why: str) -> None:
    if not holds:
        raise ValueError(why)


def sha(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def item(raw: bytes, at: int) -> tuple[Any, int]:
    """One CBOR item and where it ends: unsigned integers, strings, arrays, booleans."""
    major, n, at = raw[at] >> 5, raw[at] & 31, at + 1
    if major == 7:
        return {20: False, 21: True}[n], at
    if n >= 24:
        width = {24: 1, 25: 2, 26: 4, 27: 8}[n]
        n, at = int.from_bytes(raw[at : at + width], "big"), at + width
    if major == 0:
        return n, at
    if major in (2, 3):
        text = raw[at : at + n]
        return (text if major == 2 else text.decode()), at + n
    need(major == 4, "not a leaf")
    found = []
    for _ in range(n):
        value, at = item(raw, at)
        found.append(value)
    return found, at


def root_of(leaf: bytes, index: int, size: int, path: list[bytes]) -> bytes:
    """The root that the path leads to (RFC 9162, 2.1.3.2)."""
    need(0 <= index < size, "the leaf is not in the tree")
    value, at, last = sha(b"\0" + leaf), index, size - 1
    for sibling in path:
        need(last > 0, "the path is too long")
        if at % 2 or at == last:
            value = sha(b"\1" + sibling + value)
            while at % 2 == 0 and at:
                at, last = at // 2, last // 2
        else:
            value = sha(b"\1" + value + sibling)
        at, last = at // 2, last // 2
    need(last == 0, "the path is too short")
    return value


def head(text: str, signatures: str, vkey: str) -> tuple[int, bytes]:
    """Size and root of a signed head, given the log's verifier key; ValueError or another error if it is not that log's."""
    origin, size, root = text.split("\n")
    name, key_id, public = vkey.split("+", 2)
    key = base64.b64decode(public)
    need(name == origin and key[0] == 1, "another log or kind of key")
    need(sha(name.encode() + b"\n" + key)[:4].hex() == key_id, "the verifier key is mistyped")
    mine = [line.split(" ")[2] for line in signatures.splitlines() if line.startswith(f"\N{EM DASH} {name} ")]
    signature = next(raw for raw in map(base64.b64decode, mine) if raw[:4].hex() == key_id)
    Ed25519PublicKey.from_public_bytes(key[1:]).verify(signature[4:], text.encode() + b"\n")
    return int(size), base64.b64decode(root)


def fields_of(leaf: bytes) -> dict[str, Any]:
    """A leaf by the names of its fields."""
    fields, end = item(leaf, 0)
    need(end == len(leaf) and fields[0] == 1, "not a leaf of version 1")
    return dict(zip(NAMES.split(), fields, strict=True))


def verify(receipt: bytes, vkey: str) -> dict[str, Any]:
    """The decision that a receipt proves, given the log's verifier key; ValueError or another error if it proves none."""
    proof, text, signatures = receipt.decode().split("\n\n")
    first, extra, index, *path = proof.split("\n")
    need(first == "c2sp.org/tlog-proof@v1", "another format")
    size, root = head(text, signatures, vkey)
    leaf = base64.b64decode(extra.removeprefix("extra "))
    hashes = [base64.b64decode(line) for line in path]
    need(root_of(leaf, int(index.removeprefix("index ")), size, hashes) == root, "the path leads elsewhere")
    return fields_of(leaf)


if __name__ == "__main__":
    with open(sys.argv[1], "rb") as file:
        for field, content in verify(file.read(), sys.argv[2]).items():
            print(f"{field}: {content.hex() if isinstance(content, bytes) else content}")
