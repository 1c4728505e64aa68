"""Verify finds what is wrong with trees and signed heads, goes on where it ended, and is right while workers run."""

from dataclasses import replace
from pathlib import Path

import pytest

from connectors.log import Outgoing
from ops.audit import state
from ops.audit.report import Law, Report
from ops.audit.verify import Verification
from schemas.errors import UsageError
from schemas.positions import Source
from streams.ledger import block, checkpoint, leaf
from streams.ledger.key import LogKey
from tests.contract.ledger_world import TOPICS, World


def laws(report: Report) -> set[Law]:
    return set(report.found)


def reencoded(value: bytes, **changes: object) -> bytes:
    codec = block._codec()
    return codec.encode(codec.decode(value) | changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"root": b"\0" * 32},
        {"frontier": [b"\0" * 32]},
        {"old_size": 3, "new_size": 8},
        {"first": 4},
        {"previous": 7},
        {"topic_id": "another"},
        {"leaves": b"", "leaves_bytes": 0},
        {"origin": "weft/delays/flights/1"},
        {"topic": "elsewhere"},
    ],
)
async def test_a_changed_block_is_found(changes: dict[str, object]) -> None:
    world = World()
    rows = world.produce(0, 10)
    world.settle(rows[:5])
    world.settle(rows[5:])
    entry = world.broker.partition(Source(TOPICS.ledger, 0)).entries[1]
    entry.value = reencoded(entry.value or b"", **changes)
    assert Law.TREES in laws(await world.audit())


async def test_a_leaf_in_another_encoding_than_its_own_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    encode = leaf.encode
    monkeypatch.setattr(leaf, "encode", lambda leaves: [raw + b"\0" for raw in encode(leaves)])
    world = World()
    world.settle(world.produce(0, 3))
    report = await world.audit()
    assert laws(report) == {Law.TREES}
    assert any("is not in the one encoding" in sentence for _, sentence in report.findings), report.findings


async def test_a_block_that_was_removed_is_found() -> None:
    world = World()
    rows = world.produce(0, 15)
    for at in (0, 5, 10):
        world.settle(rows[at : at + 5])
    del world.broker.partition(Source(TOPICS.ledger, 0)).entries[1]
    assert Law.TREES in laws(await world.audit())


async def test_a_ledger_cut_behind_a_signed_head_is_found() -> None:
    world = World()
    rows = world.produce(0, 10)
    world.settle(rows[:5])
    world.settle(rows[5:])
    await world.signer.flush()
    del world.broker.partition(Source(TOPICS.ledger, 0)).entries[1]
    report = await world.audit()
    assert Law.CHECKPOINTS in laws(report)
    assert any("some are gone" in sentence for _, sentence in report.findings)


async def test_a_history_rewritten_after_it_was_signed_is_found() -> None:
    world = World()
    rows = world.produce(0, 5)
    world.settle(rows)
    await world.signer.flush()
    for topic in (TOPICS.ledger, TOPICS.result):
        for part in world.broker.topic(topic).partitions:
            part.entries.clear()
    world.trees.clear()
    world.next.clear()
    world.settle([replace(row, output=b"a kinder decision") for row in rows], sign=False)
    report = await world.audit()
    assert laws(report) == {Law.CHECKPOINTS}
    assert "not the tree's" in report.findings[0][1]


async def test_two_heads_of_one_size_are_a_fork_and_equal_copies_are_not() -> None:
    world = World()
    world.settle(world.produce(0, 5))
    tree = world.trees[Source("flights", 0)]
    note = checkpoint.sign(checkpoint.head(tree), world.key)
    await world.publisher.publish(Outgoing(TOPICS.checkpoints, [b"x"], [note]))
    assert (await world.audit()).proven
    forked = checkpoint.sign(checkpoint.head(tree)._replace(root=b"\1" * 32), world.key)
    await world.publisher.publish(Outgoing(TOPICS.checkpoints, [b"x"], [forked]))
    report = await world.audit()
    assert "forked" in report.findings[0][1]


async def test_a_head_signed_by_another_key_is_found() -> None:
    world = World()
    world.settle(world.produce(0, 5))
    note = checkpoint.sign(checkpoint.head(world.trees[Source("flights", 0)]), LogKey.generate())
    await world.publisher.publish(Outgoing(TOPICS.checkpoints, [b"x"], [note]))
    assert laws(await world.audit()) == {Law.CHECKPOINTS}


async def test_an_unsigned_tail_is_found_once_it_is_old() -> None:
    world = World()
    rows = world.produce(0, 10)
    world.settle(rows[:5])
    await world.signer.flush()
    world.settle(rows[5:], sign=False)
    report = await world.audit()
    assert report.proven
    assert report.counts["unsigned"] == 5
    world.clock.ahead_ms = 60_000
    report = await world.audit()
    assert laws(report) == {Law.CHECKPOINTS}
    assert "weft audit sign" in report.findings[0][1]


async def test_a_gap_that_someone_accepted_is_printed() -> None:
    world = World()
    rows = world.produce(0, 10)
    world.settle(rows[:3])
    tree = world.trees[Source("flights", 0)]
    value, gap = block.pack_gap(tree, 3, 6, tree.topic_id, "ada: the records were lost")
    (place,) = world.broker.append(Outgoing(TOPICS.ledger, [tree.origin.encode()], [value], partition=0))
    world.trees[tree.source], world.next[tree.source] = gap.landed(place.offset), 6
    world.settle(rows[6:])
    report = await world.audit()
    assert report.proven, report.findings
    assert report.notes == ["flights/0: offsets 3 to 5 were given up: ada: the records were lost."]


async def test_what_workers_write_while_the_topics_are_read_is_no_finding() -> None:
    world = World()
    rows = world.produce(0, 30)
    world.settle(rows[:10])
    run = world.verification()
    pending = [rows[20:], rows[10:20]]

    async def between() -> None:
        if pending:
            world.settle(pending.pop())

    read = run.seen.read

    async def late(*arguments: object) -> None:
        await between()
        await read(*arguments)  # type: ignore[arg-type]
        await between()

    object.__setattr__(run, "seen", Late(run.seen, late))
    report = await world.audit(run)
    assert report.proven, report.findings
    assert report.counts["outcomes"] == 30


class Late:
    """Outcomes that are read while more is written."""

    def __init__(self, seen: object, read: object) -> None:
        self._seen, self.read = seen, read

    def __getattr__(self, name: str) -> object:
        return getattr(self._seen, name)


async def test_a_verification_goes_on_where_the_last_one_ended(tmp_path: Path) -> None:
    world, file = World(), tmp_path / "state"
    waits = [replace(row, verdict="retry") for row in world.produce(0, 10)]
    world.settle(waits)
    first = world.verification()
    assert not state.restore(first, file)
    assert (await world.audit(first)).counts["waiting"] == 10
    state.save(first, file)
    world.settle([world.back(TOPICS.retries[0], one, "result") for one in waits[:4]])
    world.settle(world.produce(1, 5))
    second = world.verification()
    assert state.restore(second, file)
    report = await world.audit(second)
    assert report.proven, report.findings
    assert (report.counts["leaves"], report.counts["waiting"], report.counts["ended"]) == (9, 6, 9)
    state.save(second, file)
    world.settle([world.back(TOPICS.resume, replace(waits[0], verdict="review"), "result")])
    third = world.verification()
    state.restore(third, file)
    assert Law.EVENTS in laws(await world.audit(third))


async def test_a_state_of_another_flow_or_none_is_refused(tmp_path: Path) -> None:
    world, file = World(), tmp_path / "state"
    run = world.verification()
    await world.audit(run)
    state.save(run, file)
    with pytest.raises(UsageError, match="is the state of"):
        state.restore(Verification(world.reader, replace(world.subject, log_name="other")), file)
    file.write_bytes(b"\x01")
    with pytest.raises(UsageError, match="no state"):
        state.restore(world.verification(), file)


async def test_many_findings_are_counted_and_the_first_are_told() -> None:
    world = World()
    rows = world.produce(0, 500)
    world.settle(rows, unrecorded=rows)
    report = await world.audit()
    assert (report.found[Law.OUTCOMES], len(report.findings)) == (500, 200)
