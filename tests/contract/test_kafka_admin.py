"""What the commands ask of a real cluster: topics, settings, groups, offsets."""

import asyncio
from uuid import uuid4

import pytest

from connectors.kafka.admin import KafkaAdmin, Topic
from connectors.kafka.log import KafkaLog
from connectors.kafka.settings import KafkaSettings
from connectors.log import Commit
from schemas.errors import FailedError, UnreachableError
from schemas.positions import Source
from tests.contract.fabrics import Joined
from tests.stack import TestStack


async def test_topics_are_made_once_described_altered_and_deleted(stack: TestStack) -> None:
    admin, name = KafkaAdmin(KafkaSettings(stack.bootstrap)), uuid4().hex
    wanted = Topic(name, 3, {"cleanup.policy": "compact"})
    assert await admin.create([wanted]) == [name]
    assert await admin.create([wanted]) == []
    await admin.alter(name, {"max.message.bytes": "2000000"})
    there = (await admin.describe([name, "nowhere"]))[name]
    assert (there.partitions, dict(there.configs)) == (3, {"cleanup.policy": "compact", "max.message.bytes": "2000000"})
    assert len(there.topic_id) == 22
    assert name in await admin.topics()
    with pytest.raises(FailedError):
        await admin.alter(name, {"cleanup.policy": "nonsense"})
    await admin.delete([name, "nowhere"])
    assert name not in await admin.topics()


async def test_a_group_shows_its_members_and_offsets_and_can_be_deleted(stack: TestStack) -> None:
    settings, group, slot, name = KafkaSettings(stack.bootstrap, session_timeout_ms=6000), uuid4().hex, uuid4().hex, uuid4().hex
    admin = KafkaAdmin(settings)
    await admin.create([Topic(name, 1)])
    member = await Joined.start_one(KafkaLog(settings, group, slot), [name])
    await member.until(lambda: bool(member.owned))
    await member.log.begin()
    await member.log.commit([Commit(Source(name, 0), 0, "frontier")])
    async with asyncio.timeout(5):
        while await admin.offsets(group) != {Source(name, 0): Commit(Source(name, 0), 0, "frontier")}:
            await asyncio.sleep(0.02)
    ((told,),) = [found.members for found in await admin.groups() if found.name == group]
    assert told.rpartition(".")[0] == slot  # behind it: a digest of its topics
    with pytest.raises(FailedError):
        await admin.delete_groups([group])
    await member.log.close()
    assert await admin.offsets("nowhere") == {}
    await admin.delete_groups(["nowhere"])


async def test_a_cluster_that_is_not_there_is_unreachable() -> None:
    with pytest.raises(UnreachableError):
        await KafkaAdmin(KafkaSettings("127.0.0.1:1", reach_s=0.5)).topics()
