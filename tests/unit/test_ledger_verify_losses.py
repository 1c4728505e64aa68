"""What verify says of records that are lost: with somebody who accepted it, and without."""

from dataclasses import replace

import pytest

from connectors.log import Commit, Outgoing
from ops.audit.report import Law
from ops.audit.verify import Verification
from ops.flow.gap import Gap, find_gap
from schemas.errors import UsageError
from schemas.positions import Source
from streams.ledger import block
from streams.ledger.mark import Mark
from streams.ledger.tree import Tree
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


async def begun_at_two() -> World:
    """A flow whose first tree begins behind two records that nobody decided."""
    world = World()
    rows = world.produce(0, 5)
    world.next[SOURCE] = 2
    world.settle(rows[2:])
    return world


async def test_records_before_the_beginning_of_a_tree_were_never_consumed_and_that_is_found() -> None:
    world = await begun_at_two()
    report = await world.audit()
    assert report.found == {Law.RECORDS: 1}
    assert "flights/0: the tree begins at offset 2, and records stand before it, from 0 on" in report.findings[0][1]


async def test_records_of_a_topic_that_was_made_again_do_not_stand_before_the_tree_of_the_one_that_was_deleted() -> None:
    world = await begun_at_two()
    world.broker.delete(TOPICS.input)
    world.broker.create(TOPICS.input, world.partitions)
    world.produce(0, 1)
    report = await world.audit()
    assert not any("the tree begins" in sentence for _, sentence in report.findings), report.findings
    assert any("deleted and made again" in sentence for _, sentence in report.findings), report.findings


async def test_what_stands_before_a_flow_that_begins_at_the_latest_event_is_a_note() -> None:
    world = await begun_at_two()
    await world.signer.flush()
    subject = replace(world.subject, latest=TOPICS.input)
    report = await Verification(world.reader, subject, clock=world.clock).run()
    assert report.proven, report.findings
    assert any("the flow began at offset 2" in note for note in report.notes), report.notes


async def test_what_waits_on_other_topics_is_consumed_from_its_beginning_though_the_flow_begins_at_the_latest_event() -> None:
    world = World()
    (event,) = world.produce(0, 1)
    waits = replace(event, verdict="retry")
    world.settle([waits])
    world.write(TOPICS.retries[0], 0, [b"k"], [b"never consumed"])
    world.parked[waits] = world.write(TOPICS.retries[0], 0, [b"k"], [b"decision"])[0]
    back = world.back(TOPICS.retries[0], waits, "result")
    world.next[back.position.source] = back.position.offset
    world.settle([back])
    await world.signer.flush()
    subject = replace(world.subject, latest=TOPICS.input)
    report = await Verification(world.reader, subject, clock=world.clock).run()
    assert any("retry.1s/0: the tree begins at offset 2" in sentence for _, sentence in report.findings), report.findings


async def test_a_beginning_that_retention_has_deleted_is_no_finding() -> None:
    world = await begun_at_two()
    world.broker.partition(SOURCE).purge(2)
    assert (await world.audit()).proven


async def test_a_tree_whose_offset_was_moved_before_its_beginning_begins_at_the_first_record_once_accepted() -> None:
    world = World()
    rows = world.produce(0, 5)
    mark = Mark.of(Tree.empty("weft", "delays", SOURCE, world.broker.topic(SOURCE.topic).topic_id)).encode()
    gap = await find_gap(world.reader, world.subject, SOURCE, Commit(SOURCE, 2, mark))
    assert "its committed offset 2 was moved: the record at 0 was never decided" in gap.refusal
    assert (gap.first, gap.next) == (0, 0)
    accept(world, gap)
    world.settle(rows)
    assert (await world.audit()).proven
