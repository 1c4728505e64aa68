"""What the commands need of the cluster: topics with their settings, groups with their offsets."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, TypeVar

from confluent_kafka import (
    ConsumerGroupState,
    ConsumerGroupTopicPartitions,
    IsolationLevel,
    KafkaError,
    KafkaException,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ConfigSource,
    NewPartitions,
    NewTopic,
    OffsetSpec,
    ResourceType,
)

from connectors.kafka.columns import source_of
from connectors.kafka.errors import Kind, kind_of, translated
from connectors.kafka.reach import unreachable
from connectors.kafka.settings import LOGGER, KafkaSettings
from connectors.log import Commit, Ends
from schemas.errors import FailedError, UnreachableError, UsageError
from schemas.positions import Source

T = TypeVar("T")

KEPT: Mapping[str, str] = {"cleanup.policy": "delete", "retention.ms": "604800000", "retention.bytes": "-1"}
"""What says how long a topic keeps its records, and Kafka's own defaults."""

_PAUSE_S = 0.02  # before the same question again
_UNKNOWN_S = 3.0  # how long a topic must stay unknown to count as missing


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as wanted, or as it is; `configs` holds what differs from the cluster's defaults. Replication -1: the cluster's default."""

    name: str
    partitions: int
    configs: Mapping[str, str] = field(default_factory=dict)
    topic_id: str = ""
    replication: int = -1
    defaults: Mapping[str, str] = field(default_factory=dict)  # the cluster's, of KEPT

    def kept(self, name: str) -> str:
        """One of KEPT as it is in force."""
        return self.configs.get(name) or self.defaults.get(name) or KEPT[name]


@dataclass(frozen=True, slots=True)
class GroupInfo:
    """A consumer group."""

    name: str
    state: str  # e.g. stable, empty
    members: tuple[str, ...]  # slots, or client ids of members without


class _AsItIs(Exception):
    """There is nothing to do."""


class KafkaAdmin:
    """Typed calls to the cluster.

    Every call may raise:
        UnreachableError: no broker answers.
        FailedError: the cluster refused.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._cluster = AdminClient(settings.admin(), logger=LOGGER)

    async def topics(self) -> Sequence[str]:
        """The names of all topics but the cluster's own."""
        found = await self._asked("listing topics", lambda: self._cluster.list_topics(timeout=self._settings.reach_s))
        return sorted(name for name in found.topics if not name.startswith("__"))

    async def describe(self, names: Sequence[str]) -> Mapping[str, Topic]:
        """Those of the topics that exist."""
        there = await self._existing(names)
        if not there:
            return {}
        topics = await self._each("describing topics", self._cluster.describe_topics(TopicCollection(there), **self._patience()))
        configs = await self._configs(there)
        return {
            name: Topic(
                name,
                len(topic.partitions),
                {key: entry.value for key, entry in configs[name].items() if _is_own(entry)},
                str(topic.topic_id),
                len(topic.partitions[0].replicas),
                {key: entry.value for key, entry in configs[name].items() if key in KEPT and not _is_own(entry)},
            )
            for name, topic in topics.items()
        }

    async def message_bytes(self, names: Sequence[str]) -> Mapping[str, int]:
        """What each of those that exist takes as one batch, by its own setting or by the cluster's."""
        there = await self._existing(names)
        return {name: int(found["max.message.bytes"].value) for name, found in (await self._configs(there)).items()}

    async def create(self, topics: Sequence[Topic]) -> Sequence[str]:
        """Make topics; the names of those that were not there."""
        new = [NewTopic(topic.name, topic.partitions, topic.replication, config=dict(topic.configs)) for topic in topics]
        made = []
        for name, future in self._cluster.create_topics(new, **self._patience()).items() if new else ():
            try:
                await self._one(f"creating {name}", future, but=KafkaError.TOPIC_ALREADY_EXISTS)
            except _AsItIs:
                continue
            made.append(name)
        await self._until(lambda: self._there(made, len(made)))
        return made

    async def alter(self, name: str, configs: Mapping[str, str]) -> None:
        """Set some of a topic's settings; the others stay."""
        entries = [ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET) for key, value in configs.items()]
        resource = ConfigResource(ResourceType.TOPIC, name, incremental_configs=entries)
        await self._each(f"altering {name}", self._cluster.incremental_alter_configs([resource], **self._patience()))
        await self._until(lambda: self._shows(name, configs))

    async def grow(self, name: str, partitions: int) -> None:
        """Give a topic more partitions."""
        grown = self._cluster.create_partitions([NewPartitions(name, partitions)], **self._patience())
        await self._each(f"adding partitions to {name}", grown)

    async def delete(self, names: Sequence[str]) -> None:
        """Delete topics; one that is not there is no error."""
        for name, future in self._cluster.delete_topics(list(names), **self._patience()).items() if names else ():
            try:
                await self._one(f"deleting {name}", future, but=KafkaError.UNKNOWN_TOPIC_OR_PART)
            except _AsItIs:
                continue
        await self._until(lambda: self._there(names, 0))

    async def ends(self, topics: Sequence[str]) -> Mapping[Source, Ends]:
        """Where each partition of these topics ends. Waits for those that have no leader yet, or that a fresh broker does not know yet.

        Raises:
            UsageError: one of the topics is not there.
        """
        began_s = time.monotonic()
        while True:
            try:
                return await self._asked("reading where topics end", lambda: self._ends(topics), but=KafkaError.UNKNOWN_TOPIC_OR_PART)
            except UnreachableError:
                if time.monotonic() - began_s > self._settings.reach_s:
                    raise
            except _AsItIs as error:
                if time.monotonic() - began_s > _UNKNOWN_S:
                    sentence = f"not all of these topics are there: {', '.join(topics)}"
                    raise UsageError(sentence, "create them with `weft flow apply`") from error
            await asyncio.sleep(_PAUSE_S)

    async def groups(self) -> Sequence[GroupInfo]:
        """All consumer groups."""
        listed = await self._one("listing groups", self._cluster.list_consumer_groups(**self._patience()))
        names = [group.group_id for group in listed.valid]
        if not names:
            return []
        described = await self._each("describing groups", self._cluster.describe_consumer_groups(names, **self._patience()))
        return [
            GroupInfo(
                name, group.state.name.lower(), tuple(sorted(member.group_instance_id or member.client_id for member in group.members))
            )
            for name, group in sorted(described.items())
        ]

    async def held(self, group: str) -> Mapping[str, Sequence[Source]]:
        """What each member of a group holds, by the broker's name for it; nothing while the group moves, or where it is not there."""
        future = self._cluster.describe_consumer_groups([group], **self._patience())[group]
        try:
            found = await self._one(f"describing {group}", future, but=KafkaError.GROUP_ID_NOT_FOUND)
        except _AsItIs:
            return {}
        if found.state is not ConsumerGroupState.STABLE:
            return {}
        return {member.member_id: [source_of(at) for at in member.assignment.topic_partitions] for member in found.members}

    async def offsets(self, group: str) -> Mapping[Source, Commit]:
        """What a group has committed. A transaction that has just committed may show some milliseconds late."""
        futures = self._cluster.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)], **self._patience())
        try:
            found = await self._one(f"reading the offsets of {group}", futures[group], but=KafkaError.GROUP_ID_NOT_FOUND)
        except _AsItIs:
            return {}
        return {source_of(at): Commit(source_of(at), at.offset, at.metadata or "") for at in found.topic_partitions if at.offset >= 0}

    async def commit(self, group: str, next_: Mapping[Source, int]) -> None:
        """Set the offsets of a group without members."""
        asked = ConsumerGroupTopicPartitions(group, [TopicPartition(*source, offset) for source, offset in next_.items()])
        futures = self._cluster.alter_consumer_group_offsets([asked], **self._patience())
        await self._one(f"committing the offsets of {group}", futures[group])

    async def delete_groups(self, names: Sequence[str]) -> None:
        """Delete groups without members; one that is not there is no error."""
        for name, future in self._cluster.delete_consumer_groups(list(names), **self._patience()).items() if names else ():
            try:
                await self._one(f"deleting group {name}", future, but=KafkaError.GROUP_ID_NOT_FOUND)
            except _AsItIs:
                continue

    async def _configs(self, names: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
        resources = [ConfigResource(ResourceType.TOPIC, name) for name in names]
        found = await self._each("describing topics", self._cluster.describe_configs(resources, **self._patience())) if names else {}
        return {resource.name: entries for resource, entries in found.items()}

    async def _until(self, seen: Callable[[], Awaitable[bool]]) -> None:
        """Wait, for about two seconds, until the brokers have heard of what the controller has done."""
        for _ in range(100):
            if await seen():
                return
            await asyncio.sleep(_PAUSE_S)

    def _ends(self, topics: Sequence[str]) -> Mapping[Source, Ends]:
        """Each broker is asked twice, whatever it holds."""
        reach_s = self._settings.reach_s
        there = self._cluster.list_topics(timeout=reach_s).topics
        if not there.keys() >= set(topics):
            raise KafkaException(KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART))
        latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
        asked = {TopicPartition(topic, partition): latest for topic in topics for partition in there[topic].partitions}
        stable, high = (
            self._cluster.list_offsets(asked, isolation_level=level, **self._patience())
            for level in (IsolationLevel.READ_COMMITTED, IsolationLevel.READ_UNCOMMITTED)
        )
        return {source_of(at): Ends(stable[at].result(reach_s).offset, high[at].result(reach_s).offset) for at in asked}

    async def _existing(self, names: Sequence[str]) -> list[str]:
        there = set(await self.topics())
        return [name for name in names if name in there]

    async def _there(self, names: Sequence[str], count: int) -> bool:
        return len(set(await self._existing(names))) == count

    async def _shows(self, name: str, configs: Mapping[str, str]) -> bool:
        shown = (await self.describe([name]))[name].configs
        return all(shown.get(key) == value for key, value in configs.items())

    def _patience(self) -> dict[str, Any]:
        return {"request_timeout": self._settings.reach_s}

    async def _each(self, doing: str, futures: Mapping[Any, Future[T]]) -> dict[Any, T]:
        return {of: await self._one(doing, future) for of, future in futures.items()}

    async def _one(self, doing: str, future: Future[T], but: int | None = None) -> T:
        """The outcome of one of the client's futures; _AsItIs stands for the error code `but`."""
        return await self._asked(doing, lambda: future.result(self._settings.reach_s * 2), but)

    async def _asked(self, doing: str, call: Callable[[], T], but: int | None = None) -> T:
        try:
            return await asyncio.to_thread(call)
        except TimeoutError as error:
            raise unreachable(self._settings) from error
        except KafkaException as error:
            if error.args[0].code() == but:
                raise _AsItIs from error
            if kind_of(error.args[0]) is Kind.RETRY:
                raise unreachable(self._settings) from error
            raise FailedError(translated(error, doing).sentence) from error


def _is_own(entry: Any) -> bool:
    """Whether the setting was given for this topic."""
    return bool(entry.source == ConfigSource.DYNAMIC_TOPIC_CONFIG.value)
