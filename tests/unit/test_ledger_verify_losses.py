"""What verify says of records that are lost: with somebody who accepted it, and without."""

import pytest

from connectors.log import Commit, Outgoing
from ops.audit.report import Law
from ops.flow.gap import Gap, find_gap
from schemas.errors import UsageError
from schemas.positions import Source
from streams.ledger import block
from streams.ledger.mark import Mark
from tests.contract.ledger_world import TOPICS, World

SOURCE = Source(TOPICS.input, 0)


async def decided(events: int) -> World:
    """A flow that decided some events, two batches of them."""
    world = World()
    for rows in (events // 2, events - events // 2):
        world.settle(world.produce(0, rows))
    await world.signer.flush()
    return world


def cut(world: World, end: int) -> None:
    """The partition loses its tail, as in an election of a leader that was behind."""
    part = world.broker.partition(SOURCE)
    del part.entries[end:]
    part.high = end


async def gap_of(world: World, metadata: str | None = None, offset: int = 10) -> Gap:
    tree = world.trees[SOURCE]
    return await find_gap(
        world.reader, world.subject, SOURCE, Commit(SOURCE, offset, Mark.of(tree).encode() if metadata is None else metadata)
    )


def accept(world: World, gap: Gap) -> None:
    """The block that `weft flow accept-gap` writes; the flow goes on behind it."""
    value, tree = block.pack_gap(gap.tree, gap.first, gap.next, gap.topic_id, f"ada: so be it ({gap.refusal})")
    (place,) = world.broker.append(Outgoing(TOPICS.ledger, [tree.origin.encode()], [value], partition=0))
    world.trees[SOURCE], world.next[SOURCE] = tree.landed(place.offset), gap.next


async def test_an_offset_beyond_the_end_goes_on_at_the_end_and_what_stood_there_is_lost() -> None:
    world = await decided(10)
    cut(world, 7)
    assert (await world.audit()).found == {Law.RECORDS: 3}
    gap = await gap_of(world)
    assert "its end is at offset 7, before the committed 10" in gap.refusal
    assert (gap.tree.size, gap.first, gap.next) == (10, 10, 7)
    accept(world, gap)
    report = await world.audit()
    assert report.proven, report.findings
    assert report.counts["lost"] == 3
    assert any("what stood from 7 on was given up: ada: so be it" in note for note in report.notes), report.notes


async def test_events_at_the_offsets_of_lost_ones_are_events_of_their_own() -> None:
    world = await decided(10)
    cut(world, 7)
    accept(world, await gap_of(world))
    world.settle(world.produce(0, 5)[:4])
    report = await world.audit()
    assert report.proven, report.findings
    assert (report.counts["lost"], report.counts["not taken in"]) == (3, 1)
    entry = world.broker.partition(SOURCE).entries[8]
    entry.value = b"changed after its decision"
    assert (await world.audit()).findings == [
        (Law.RECORDS, "The record at flights/0/8 is not the one that was decided: its key or value differs.")
    ]


async def test_a_loss_before_the_gap_stays_a_finding() -> None:
    world = await decided(10)
    cut(world, 7)
    accept(world, await gap_of(world))
    del world.broker.partition(SOURCE).entries[2]
    assert (await world.audit()).findings == [(Law.RECORDS, "The leaf of flights/0/2 has no record: the topic never had it.")]


async def test_an_offset_without_a_mark_goes_on_behind_the_ledger_and_nothing_is_lost() -> None:
    world = await decided(10)
    for offset in (4, 10, 77):  # whoever reset the group's offsets may have set any
        gap = await gap_of(world, "", offset)
        assert f"its committed offset {offset} was not written by Weft" in gap.refusal
        assert (gap.tree.size, gap.first, gap.next) == (10, 10, 10)
    accept(world, gap)
    world.settle(world.produce(0, 2))
    report = await world.audit()
    assert report.proven, report.findings
    assert any("no record was given up: ada: so be it" in note for note in report.notes), report.notes


async def test_an_offset_with_its_mark_and_no_loss_has_no_gap() -> None:
    world = await decided(10)
    with pytest.raises(UsageError, match="no gap to accept"):
        await gap_of(world)


async def test_a_topic_made_again_is_a_finding_until_somebody_accepts_the_loss() -> None:
    world = await decided(10)
    world.broker.delete(TOPICS.input)
    world.broker.create(TOPICS.input, 2)
    new = world.produce(0, 3)
    report = await world.audit()
    assert report.found == {Law.RECORDS: 1}
    assert "deleted and made again" in report.findings[0][1]
    assert "nobody has accepted" in report.findings[0][1]
    accept(world, await gap_of(world))
    world.settle(new)
    report = await world.audit()
    assert report.proven, report.findings
    assert (report.counts["lost"], report.counts["gone"], report.counts["records"]) == (10, 0, 3)
    assert any("was given up: ada: so be it" in note for note in report.notes), report.notes
