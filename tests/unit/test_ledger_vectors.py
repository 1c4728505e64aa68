"""The test vectors in docs/ledger.md are what the code makes; run as a program this writes them anew."""

import base64
import json
import re
from pathlib import Path
from typing import Any

import cbor2
import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from schemas.positions import Position, Source
from streams.ledger import checkpoint, leaf, merkle
from streams.ledger.key import LogKey
from streams.ledger.mark import Mark, Waiting
from streams.ledger.receipt import Receipt
from streams.ledger.tree import Tree
from tests.contract import verifier

PAGE = Path(__file__).parents[2] / "docs" / "ledger.md"
SOURCE = Source("flights.departures", 2)
KEY = LogKey(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
RECORDS: list[tuple[bytes | None, bytes | None]] = [
    (b"EWR", b"departs"),
    (None, b""),
    (b"", None),
    (b"LGA", b"departs too"),
    (b"JFK", b"departs last"),
]
OUTPUTS = [b"notify", None, b"", b"ignore", b"ignore"]


def leaves() -> list[bytes]:
    n = len(RECORDS)
    return leaf.encode(
        leaf.Leaves(
            source=SOURCE,
            flow="departure-delays@1.0.0",
            offsets=np.array([7, 24, 256, 65_536, 4_294_967_296]),
            event_ids=["UA-1545-EWR-20130101T0515", "", "é" * 300, "a", "b"],
            kinds=[
                leaf.Kind("result", "", "", "arrival-delay@1", True),
                leaf.Kind("filtered", "filter", "cancelled", "", False),
                leaf.Kind("dead-letter", "tombstone", "", "", False),
                leaf.Kind("quarantine", "policy", "night", "", False),
                leaf.Kind("review", "policy", "heavy", "", False),
            ],
            kind=range(n),
            inputs=leaf.digests(*zip(*RECORDS, strict=True)),
            outputs=[b"" if output is None else leaf.digest(b"key", output) for output in OUTPUTS],
            details=[b"{}"] * n,
            salts=leaf.salts(n, bytes(range(16 * n))),
            roots=[*(Position(*SOURCE, offset) for offset in (7, 24, 256, 65_536)), Position(*SOURCE, 3)],
            generations=[0, 0, 0, 0, 1],
            passes=[0, 0, 0, 0, 300],
        )
    )


def vectors() -> dict[str, Any]:
    encoded = leaves()
    hashes = merkle.leaf_hashes(encoded)
    tree = Tree.empty("weft", "departure-delays", SOURCE, "AAAAAAAAAAAAAAAAAAAAAA").extended(encoded).landed(9)
    note = checkpoint.sign(checkpoint.head(tree), KEY)
    receipt = Receipt(encoded[2], 2, tuple(merkle.inclusion_proof(hashes, 2)), note)
    return {
        "digests": [{"key": _text(key), "value": _text(value), "digest": leaf.digest(key, value).hex()} for key, value in RECORDS],
        "leaves": [{"leaf": raw.hex(), "hash": hashed.hex()} for raw, hashed in zip(encoded, hashes, strict=True)],
        "roots": [merkle.root(merkle.append(0, (), hashes[:size])).hex() for size in range(len(hashes) + 1)],
        "frontier": [node.hex() for node in tree.frontier],
        "inclusion of leaf 2": [node.hex() for node in receipt.path],
        "consistency of 3 and 5": [node.hex() for node in merkle.consistency_proof(hashes, 3)],
        "mark": Mark.of(tree, Waiting(3, 2, 1_356_998_400_000, 1_356_998_430_000)).encode(),
        "verifier key": str(KEY.verifier(tree.origin)),
        "checkpoint": note.decode(),
        "receipt": receipt.encode().decode(),
    }


def _text(part: bytes | None) -> str | None:
    return None if part is None else part.decode()


def test_the_page_holds_the_vectors_that_the_code_makes() -> None:
    written = re.search(r"```json\n(.*?)\n```", PAGE.read_text(), re.DOTALL)
    assert written is not None
    assert json.loads(written[1]) == vectors()


def test_the_vectors_hold_for_a_reader_that_knows_the_page_alone() -> None:
    made = vectors()
    fields = verifier.verify(made["receipt"].encode(), made["verifier key"])
    assert (fields["verdict"], fields["reason"], fields["position"]) == ("dead-letter", "tombstone", ["flights.departures", 2, 256])
    assert [cbor2.loads(bytes.fromhex(one["leaf"])) for one in made["leaves"]][2] == list(fields.values())
    assert cbor2.loads(base64.b64decode(made["mark"]))[2] == 5
    assert merkle.consistent(
        3,
        5,
        bytes.fromhex(made["roots"][3]),
        bytes.fromhex(made["roots"][5]),
        [bytes.fromhex(node) for node in made["consistency of 3 and 5"]],
    )


def test_the_page_names_every_field_of_a_leaf_in_order() -> None:
    assert re.findall(r"^\| \d+ \| (\w+) \|", PAGE.read_text(), re.MULTILINE) == verifier.NAMES.split()


if __name__ == "__main__":
    fresh = json.dumps(vectors(), indent=1, ensure_ascii=False)
    PAGE.write_text(re.sub(r"```json\n.*?\n```", lambda _: f"```json\n{fresh}\n```", PAGE.read_text(), flags=re.DOTALL))
