"""Everything that reads bytes which somebody else may have written: each answers, or refuses in the way that it says. Nothing else."""

import base64
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from connectors.registry.calls import Answer
from ops.run.status import read as read_status
from processors.cel.expression import CelError, Expression
from processors.flow.bundle import Bundle
from processors.flow.yaml import parse
from processors.lookups.keys import Template
from schemas import decision, pending
from schemas.contracts import Contract
from schemas.decision import Action, Decision
from schemas.errors import FlowError
from schemas.pending import Pending
from schemas.positions import Position, Source
from streams.control import Control
from streams.ledger import block, checkpoint, leaf
from streams.ledger.block import Content, pack
from streams.ledger.key import LogKey, Verifier
from streams.ledger.mark import Mark, Waiting
from streams.ledger.receipt import Receipt
from streams.ledger.tree import Tree
from tests.contract.ledger_world import World, columns
from tests.fuzz.files import files
from tests.fuzz.mutate import CEL, TEMPLATES

Read = Callable[[bytes], object]


@dataclass(frozen=True)
class Reader:
    """One reader, good examples of what it reads, and the errors by which it may refuse."""

    name: str
    read: Read
    seeds: Sequence[bytes]
    refuses: tuple[type[Exception], ...] = (ValueError,)

    def refused(self, value: bytes) -> bool:
        """Read it. Whatever else is raised goes on.

        Raises:
            Exception: the reader is broken.
        """
        try:
            self.read(value)
        except self.refuses:
            return True
        return False


COLUMNS = {
    "n": pa.int64(),
    "x": pa.float64(),
    "s": pa.string(),
    "b": pa.bool_(),
    "t": pa.timestamp("ms", "UTC"),
    "l": pa.list_(pa.string()),
}
ROWS = pa.RecordBatch.from_arrays(
    [
        pa.array([1, None, -(2**63), 2**63 - 1], pa.int64()),
        pa.array([1.5, None, float("nan"), float("inf")]),
        pa.array(["a", None, "", "\u00e9"]),
        pa.array([True, None, False, True]),
        pa.array([0, None, 2**62, -(2**62)], pa.int64()).cast(COLUMNS["t"]),
        pa.array([["a"], None, [], [None]], COLUMNS["l"]),
    ],
    schema=pa.schema(COLUMNS.items()),
)


def _cel(value: bytes) -> None:
    """Compiles, and gives the same on columns as row by row."""
    source = value.decode(errors="replace")
    made = Expression.compile(source, COLUMNS)
    slow = Expression.compile(source, COLUMNS, columnar=False)
    one, other = made.evaluate(ROWS), slow.evaluate(ROWS)
    assert one.failed.tolist() == other.failed.tolist(), source
    assert repr(one.values.to_pylist()) == repr(other.values.to_pylist()), source


def _block(value: bytes) -> None:
    found = block.unpack(value)
    found.leaves()
    found.details()


def _pending(value: bytes) -> None:
    found = pending.decode(value)
    if found.columns is not None:
        pending.unpack(found.columns)


def _template(value: bytes) -> None:
    Template.parse(value.decode(errors="replace"))


def _control(value: bytes) -> None:
    control = Control()
    key, _, rest = value.partition(b"\n")
    control.hear(0, 0, key, rest)
    control.paused("f")
    control.alerts("f")


def _yaml(value: bytes) -> None:
    page = parse("f", value.decode(errors="replace"))
    assert page.data is None or not page.problems or all(one.mark.line > 0 for one in page.problems)


def _registry(value: bytes) -> None:
    try:
        body = json.loads(value)
    except RecursionError as error:  # so reads the client that asks registries (connectors/registry/calls.py)
        raise ValueError("nested too deeply") from error
    if not isinstance(body, dict):
        raise ValueError("no object")
    assert isinstance(Answer(404, body).sentence, str)
    Contract.of_text(str(body["schema"]), {})


def readers() -> list[Reader]:
    """All of them."""
    source, key = Source("flights", 0), LogKey.generate()
    encoded = leaf.encode(columns(source, World().produce(0, 20), np.arange(20)))
    tree = Tree.empty("weft", "delays", source, "id").extended(encoded)
    blocks, _ = pack(Tree.empty("weft", "delays", source, "id"), Content(0, 20, np.arange(20), encoded, [b"{}"] * 20))
    note = checkpoint.sign(checkpoint.head(tree), key)
    receipt = Receipt(encoded[3], 3, (b"a" * 32,) * 5, note).encode()
    mark = Mark.of(tree, Waiting(1, 2, 3, 4)).encode().encode()
    packed = pending.pack(ROWS.slice(0, 1))
    parked = [_parked(packed), _parked(None)]
    said = decision.encode(Decision("r", Action.APPROVE, "ann", "so", 1, {"a": 1}))
    spoilt = files()
    bundle = Bundle("fuzz", "1.0.0", spoilt).encode()
    texts = [text.encode() for text in spoilt.values()]
    answer = json.dumps({"schema": spoilt["schemas/fuzz.Departure.avsc"], "id": 1, "error_code": 40403}).encode()
    status = json.dumps({"flow": "f", "slot": 0, "pid": 1, "reasons": [], "lane": {"verdicts": {"result": 3}}}).encode()
    control = [b'pause/f\n{"kind":"pause","flow":"f","paused":true,"who":"a","why":"b","at_ms":1}', b"flow/f/1.0.0\n" + bundle[:200]]
    return [
        Reader("leaf", leaf.decode, encoded[:3]),
        Reader("block", _block, blocks),
        Reader("checkpoint", checkpoint.parse, [note]),
        Reader("receipt", lambda value: Receipt.decode(value).verify([key.verifier(tree.origin)]), [receipt]),
        Reader("verifier key", lambda value: Verifier.parse(value.decode(errors="replace")), [str(key.verifier("weft/a")).encode()]),
        Reader("mark", lambda value: Mark.decode(value.decode(errors="replace")), [mark]),
        Reader("mark's CBOR", lambda value: Mark.decode(base64.b64encode(value).decode()), [base64.b64decode(mark)]),
        Reader("weft.Pending", _pending, parked),
        Reader("packed columns", pending.unpack, [packed]),
        Reader("weft.Decision", decision.decode, [said]),
        Reader("registry's answer", _registry, [answer], (ValueError, KeyError)),
        Reader("bundle", lambda value: Bundle.decode(value).declared(), [bundle], (FlowError,)),
        Reader("worker's status", read_status, [status]),
        Reader("control record", _control, control),
        Reader("YAML", _yaml, texts),
        Reader("CEL", _cel, [one.encode() for one in CEL if len(one) < 300], (CelError,)),
        Reader("key template", _template, [one.encode() for one in TEMPLATES if len(one) < 300]),
    ]


def _parked(packed: bytes | None) -> bytes:
    root = Position("in", 1, 2)
    return pending.encode(
        Pending(root, 0, 1, "e", "f", "1.0.0", 2, "ask", 3, 4, b"k", b"v", [("a", b"b"), ("c", None)], 5, packed, 0, "policy", "r", "s")
    )


INTERESTING = (
    b"",
    b"\0",
    b"\xff" * 9,
    b"\x80" * 10,
    b"\xfe\xff\xff\xff\x0f",
    b"[" * 3_000,
    b"{" * 300,
    b"\x9f" * 2_000,
    b"\xff" * 4,
    b"9" * 5_000,
)


def spoilt(chance: random.Random, reader: Reader) -> bytes:
    """Bytes near what the reader reads."""
    value = bytearray(chance.choice(reader.seeds))
    for _ in range(chance.choice((1, 1, 1, 2, 8))):
        at = chance.randrange(len(value) + 1)
        match chance.randrange(5):
            case 0 if value:
                value[at % len(value)] ^= 1 << chance.randrange(8)
            case 1:
                value[at:at] = chance.choice(INTERESTING)
            case 2:
                del value[at : at + chance.choice((1, 4, 50))]
            case 3:
                value[at : at + 4] = chance.randbytes(4)
            case _:
                other = chance.choice(reader.seeds)
                value[at:] = other[chance.randrange(len(other) + 1) :]
    return bytes(value)
