"""A receipt proves its decision offline, to us and to a verifier that knows nothing of Weft; a changed one proves nothing."""

import os
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.audit.find import find, one_event, readable
from ops.audit.receipts import last_word, receipt
from ops.audit.sign import sign_tails
from schemas.errors import FailedError, NotProvenError, UsageError
from schemas.positions import Position, Source
from streams.ledger import checkpoint, leaf, merkle
from streams.ledger.key import LogKey
from streams.ledger.receipt import Receipt
from streams.ledger.tree import Tree
from tests.contract import verifier
from tests.contract.ledger_world import TOPICS, World, columns

KEY = LogKey.generate()


def made(size: int, index: int) -> tuple[Receipt, str]:
    """A receipt out of a tree of that size."""
    source = Source("flights", 0)
    rows = World().produce(0, size)
    encoded = leaf.encode(columns(source, rows, np.arange(size)))
    tree = Tree.empty("weft", "delays", source, "id").extended(encoded)
    path = merkle.inclusion_proof(merkle.leaf_hashes(encoded), index)
    return Receipt(encoded[index], index, tuple(path), checkpoint.sign(checkpoint.head(tree), KEY)), str(KEY.verifier(tree.origin))


@given(st.data())
def test_every_receipt_is_proven_by_us_and_by_the_independent_verifier(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 40))
    one, vkey = made(size, data.draw(st.integers(0, size - 1)))
    text = one.encode()
    assert Receipt.decode(text) == one
    proven, head = Receipt.decode(text).verify([KEY.verifier("weft/delays/flights/0")])
    fields = verifier.verify(text, vkey)
    assert (fields["event"], fields["verdict"], fields["salt"]) == (proven.event_id, proven.verdict, proven.salt)
    assert Position(*fields["position"]) == proven.position
    assert head.size == size


ONE, VKEY = made(21, 13)
TEXT = ONE.encode()


@given(st.integers(0, len(TEXT) - 1), st.integers(1, 255))
def test_a_receipt_with_one_changed_byte_proves_nothing(at: int, flip: int) -> None:
    changed = TEXT[:at] + bytes([TEXT[at] ^ flip]) + TEXT[at + 1 :]
    with pytest.raises(ValueError, match=r"."):
        Receipt.decode(changed).verify([KEY.verifier("weft/delays/flights/0")])


@given(st.binary(max_size=300))
def test_other_bytes_are_no_receipt(text: bytes) -> None:
    for bad in (text, b"c2sp.org/tlog-proof@v1\n" + text):
        with pytest.raises(ValueError, match=r"."):
            Receipt.decode(bad).verify([])


@pytest.mark.parametrize(
    "changes",
    [
        {"index": 12},
        {"leaf": ONE.leaf[:-1] + b"\0"},
        {"path": ONE.path[:-1]},
        {"path": (*ONE.path, b"\0" * 32)},
        {"checkpoint": made(21, 13)[0].checkpoint},
    ],
)
def test_the_independent_verifier_refuses_what_does_not_fit(changes: dict[str, object]) -> None:
    assert verifier.verify(TEXT, VKEY)["version"] == 1
    with pytest.raises(ValueError, match=r"."):
        verifier.verify(replace(ONE, **changes).encode(), VKEY)  # type: ignore[arg-type]


def test_the_independent_verifier_refuses_a_mistyped_key_and_another_log() -> None:
    name, ident, public = VKEY.split("+", 2)
    for bad in (f"{name}+00000000+{public}", f"weft/delays/flights/1+{ident}+{public}"):
        with pytest.raises(ValueError, match=r"."):
            verifier.verify(TEXT, bad)


async def test_each_decision_of_a_flow_gets_a_receipt() -> None:
    world = World()
    rows = world.produce(0, 40)
    world.settle(rows[:17])
    await world.signer.flush()
    world.settle(rows[17:])
    await world.signer.flush()
    vkey = str(world.key.verifier("weft/delays/flights/0"))
    for row, size in ((rows[0], 17), (rows[16], 17), (rows[17], 40), (rows[39], 40)):
        (one,) = await find(world.reader, world.subject, row.event)
        text = (await receipt(world.reader, world.subject, one)).encode()
        assert verifier.verify(text, vkey)["event"] == row.event
        assert f"\n{size}\n" in text.decode()


async def test_all_passes_of_an_event_are_found_by_id_and_by_position_and_the_last_word_counts() -> None:
    world = World()
    event = replace(world.produce(1, 3)[1], verdict="retry")
    world.settle([event])
    world.settle([world.back(TOPICS.retries[0], event, "result")])
    await world.signer.flush()
    for wanted in (event.event, "flights/1/1"):
        passes = await find(world.reader, world.subject, wanted)
        assert [(one.leaf.number, one.leaf.verdict) for one in passes] == [(0, "retry"), (1, "result")]
        assert [one.origin for one in passes] == ["weft/delays/flights/1", "weft/delays/delays.retry.1s/1"]
    assert last_word(passes).leaf.verdict == "result"
    assert (await receipt(world.reader, world.subject, last_word(passes))).index == 0


async def test_what_is_not_in_the_ledger_is_not_found() -> None:
    world = World()
    world.settle(world.produce(0, 3))
    for wanted in ("nobody", "flights/0/17", "event"):
        with pytest.raises(FailedError, match="No decision"):
            await find(world.reader, world.subject, wanted)


async def test_a_decision_behind_the_last_signed_head_has_no_receipt_until_its_tail_is_signed() -> None:
    world = World()
    row = world.produce(0, 1)[0]
    world.settle([row], sign=False)
    (one,) = await find(world.reader, world.subject, row.event)
    with pytest.raises(NotProvenError, match="no signed head"):
        await receipt(world.reader, world.subject, one)
    world.clock.ahead_ms = 60_000
    assert not (await world.audit()).proven
    (tree,) = await sign_tails(world.verification(), world.publisher, world.key)
    assert tree == world.trees[tree.source]
    assert (await world.audit()).proven
    assert (await receipt(world.reader, world.subject, one)).index == 0
    assert await sign_tails(world.verification(), world.publisher, world.key) == []


async def test_a_ledger_that_is_not_proven_is_not_signed() -> None:
    world = World()
    rows = world.produce(0, 3)
    world.settle(rows, unrecorded=rows[:1], sign=False)
    with pytest.raises(NotProvenError, match="Nothing was signed"):
        await sign_tails(world.verification(), world.publisher, world.key)


async def test_a_receipt_needs_only_what_retention_left_of_the_ledger() -> None:
    world = World()
    rows = world.produce(0, 30)
    for at in (0, 10, 20):
        world.settle(rows[at : at + 10])
    await world.signer.flush()
    world.broker.partition(Source(TOPICS.ledger, 0)).purge(1)
    (one,) = await find(world.reader, world.subject, rows[25].event)
    made_after = await receipt(world.reader, world.subject, one)
    assert verifier.verify(made_after.encode(), str(world.key.verifier(one.origin)))["event"] == rows[25].event


async def test_of_several_events_with_one_id_the_receipt_is_of_the_one_that_is_named() -> None:
    world = World()
    (one, other) = (replace(row, event="twice") for row in world.produce(0, 2))
    world.settle([one, other])
    passes = await find(world.reader, world.subject, "twice")
    with pytest.raises(UsageError, match="2 events have the id twice") as refused:
        one_event(passes, "twice")
    assert f"{one.position}, {other.position}" in refused.value.hint
    assert [found.leaf.root for found in one_event(passes, "twice", other.position)] == [other.position]
    with pytest.raises(UsageError, match="no event at flights/0/7 has the id twice"):
        one_event(passes, "twice", Position("flights", 0, 7))


def test_details_are_read_by_the_schema_that_the_block_carries() -> None:
    schema = '{"type": "record", "name": "d", "fields": [{"name": "score", "type": ["null", "double"]}]}'
    datum = b"\x02" + b"\0" * 8
    assert readable(datum, schema) == {"score": 0.0}
    assert readable(b"\xc3\x01" + os.urandom(8) + datum, schema) == {"score": 0.0}
    for unreadable in (None, b"", b"\x09"):
        assert readable(unreadable, schema) is None
    assert readable(datum, "not json") is None
