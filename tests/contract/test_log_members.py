"""What any log must do when members come and go: the in-memory twin and a real Kafka alike."""

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from connectors.log import Commit
from schemas.errors import FatalError, OwnershipError
from schemas.positions import Source
from tests.contract.fabrics import Fabric, Joined, named, outgoing, transact


async def test_a_second_holder_of_a_slot_fences_the_first_and_ends_its_transaction(fabric: Fabric) -> None:
    topic, group, slot = await fabric.topic(2), named("group"), named("slot")
    first = await Joined.start_one(fabric.log(group, slot), [topic])
    await first.until(lambda: len(first.owned) == 2)
    await first.log.begin()
    first.log.produce(outgoing(topic, b"left open"))
    await first.log.flush()
    second = await Joined.start_one(fabric.log(group, slot), [topic])
    await second.until(lambda: len(second.owned) == 2)
    await transact(second.log, outgoing(topic, b"after"))
    assert await second.values(1) == [b"after"]
    with pytest.raises(FatalError):
        await first.log.commit([Commit(Source(topic, 0), 1, "")])
    with pytest.raises(FatalError):
        await first.until(lambda: False)


async def test_a_slot_that_comes_back_with_another_topic_is_given_its_partitions(fabric: Fabric) -> None:
    topic, other, group, slot = await fabric.topic(2), await fabric.topic(2), named("group"), named("slot")
    first = await Joined.start_one(fabric.log(group, slot), [topic])
    await first.until(lambda: len(first.owned) == 2)
    await first.log.close()
    second = await Joined.start_one(fabric.log(group, slot), [topic, other])
    await second.until(lambda: len(second.owned) == 4)


async def test_a_rebalance_revokes_only_what_moves(fabric: Fabric) -> None:
    topic, group = await fabric.topic(4), named("group")
    first = await Joined.start_one(fabric.log(group, named("slot")), [topic])
    await first.until(lambda: len(first.owned) == 4)
    second = await Joined.start_one(fabric.log(group, named("slot")), [topic])

    async def both() -> None:
        while len(second.owned) < 2 or len(first.owned) > 2:
            await asyncio.gather(first.fetch(0.05), second.fetch(0.05))

    await asyncio.wait_for(both(), 30)
    revoked = [sources for kind, sources in first.told if kind == "revoked"]
    assert [len(sources) for sources in revoked] == [2]
    assert first.owned | second.owned == {Source(topic, number) for number in range(4)}
    for number in range(4):
        await fabric.publisher().publish(outgoing(topic, b"%d" % number, partition=number))
    for member in (first, second):
        assert set(await member.values(2)) == {b"%d" % source.partition for source in member.owned}
    await transact(first.log, commits=tuple(Commit(source, 1, "") for source in first.owned))


async def test_a_partition_that_was_paused_when_it_went_is_read_when_it_comes_back(fabric: Fabric) -> None:
    topic, group = await fabric.topic(2), named("group")
    first = await Joined.start_one(fabric.log(group, named("slot")), [topic])
    await first.until(lambda: len(first.owned) == 2)
    await first.log.pause(sorted(first.owned))
    second = await Joined.start_one(fabric.log(group, named("slot")), [topic])

    async def settled(members: Sequence[Joined], counts: Sequence[int]) -> None:
        while [len(member.owned) for member in members] != counts:
            await asyncio.gather(*(member.fetch(0.05) for member in members))

    await asyncio.wait_for(settled([first, second], [1, 1]), 30)
    gone = Source(topic, 0) if Source(topic, 0) not in first.owned else Source(topic, 1)
    await second.log.close()
    await asyncio.wait_for(settled([first], [2]), 30)
    await fabric.publisher().publish(outgoing(topic, b"behind", partition=gone.partition))
    assert await first.values(1) == [b"behind"]


async def test_a_commit_as_of_the_generation_before_is_refused(fabric: Fabric) -> None:
    topic, group = await fabric.topic(2), named("group")
    first = await Joined.start_one(fabric.log(group, named("slot")), [topic])
    await first.until(lambda: len(first.owned) == 2)
    old = fabric.generation(first.log)
    second = await Joined.start_one(fabric.log(group, named("slot")), [topic])

    async def both() -> None:
        while not second.owned:
            await asyncio.gather(first.fetch(0.05), second.fetch(0.05))

    await asyncio.wait_for(both(), 30)
    new, commits = fabric.generation(first.log), [Commit(source, 1, "") for source in first.owned]
    fabric.back_to(first.log, old)
    await first.log.begin()
    with pytest.raises(OwnershipError):
        await first.log.commit(commits)
    await first.log.abort()
    fabric.back_to(first.log, new)
    await transact(first.log, commits=tuple(commits))


async def test_the_broker_takes_an_offset_of_a_partition_that_the_member_does_not_hold(fabric: Fabric) -> None:
    """Why the lane itself looks at what it holds: member and generation are all that is compared."""
    topic, group = await fabric.topic(2), named("group")
    first = await Joined.start_one(fabric.log(group, named("slot")), [topic])
    second = await Joined.start_one(fabric.log(group, named("slot")), [topic])

    async def both() -> None:
        while len(first.owned) != 1 or not second.owned:
            await asyncio.gather(first.fetch(0.05), second.fetch(0.05))

    await asyncio.wait_for(both(), 30)
    (strange,) = second.owned
    await transact(first.log, commits=(Commit(strange, 0, "not mine"),))
    assert await second.log.committed([strange]) == {strange: Commit(strange, 0, "not mine")}


async def test_an_owner_may_commit_until_it_has_let_go(fabric: Fabric) -> None:
    topic, group = await fabric.topic(2), named("group")
    first = await Joined.start_one(fabric.log(group, named("slot")), [topic])
    await first.until(lambda: len(first.owned) == 2)

    async def last_commit(sources: Sequence[Source]) -> None:
        await transact(first.log, commits=tuple(Commit(source, 0, "last words") for source in sources))

    first.parting = last_commit
    second = await Joined.start_one(fabric.log(group, named("slot")), [topic])

    async def both() -> None:
        while not second.owned:
            await asyncio.gather(first.fetch(0.05), second.fetch(0.05))

    await asyncio.wait_for(both(), 30)
    (moved,) = second.owned
    assert await second.log.committed([moved]) == {moved: Commit(moved, 0, "last words")}


async def test_an_owner_that_fails_ends_the_member(fabric: Fabric) -> None:
    topic = await fabric.topic()

    class Broken(Joined):
        async def assigned(self, sources: Sequence[Source]) -> Mapping[Source, int]:
            raise FatalError("the tree has forked")

    member = await Broken.start_one(fabric.log(named("group"), named("slot")), [topic])
    with pytest.raises(FatalError, match="forked"):
        await member.until(lambda: False)


async def test_a_restarted_slot_has_its_partitions_back_without_a_rebalance_of_others(fabric: Fabric) -> None:
    topic, group, slot = await fabric.topic(2), named("group"), named("slot")
    first = await Joined.start_one(fabric.log(group, slot), [topic])
    await first.until(lambda: len(first.owned) == 2)
    other = await Joined.start_one(fabric.log(group, named("slot")), [topic])

    async def both() -> None:
        while not other.owned:
            await asyncio.gather(first.fetch(0.05), other.fetch(0.05))

    await asyncio.wait_for(both(), 30)
    told, owned = len(other.told), set(first.owned)
    again = await Joined.start_one(fabric.log(group, slot), [topic])

    async def taken_over() -> None:
        while not again.owned:
            await asyncio.gather(again.fetch(0.05), other.fetch(0.05))

    await asyncio.wait_for(taken_over(), 5)
    assert again.owned == owned
    assert other.told[told:] == []
