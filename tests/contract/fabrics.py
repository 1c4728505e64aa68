"""Both sides of the log contract: the in-memory twin and a real Kafka, and an owner that notes what it is told."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol, Self
from uuid import uuid4

from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from connectors.kafka.admin import KafkaAdmin, Topic
from connectors.kafka.fetching import FetchThread
from connectors.kafka.log import KafkaLog
from connectors.kafka.publisher import KafkaPublisher
from connectors.kafka.reader import KafkaReader
from connectors.kafka.settings import KafkaSettings
from connectors.log import Commit, Fetched, Log, Outgoing, Publisher, Reader
from connectors.memory.broker import MemoryBroker
from connectors.memory.group import Member
from connectors.memory.log import MemoryLog
from connectors.memory.publisher import MemoryPublisher
from connectors.memory.reader import MemoryReader
from schemas.positions import Source


class Fabric(Protocol):
    """Makes the ports."""

    async def topic(self, partitions: int = 1, max_message_bytes: int = 1_048_588) -> str:
        """A new topic."""

    def log(self, group: str, slot: str) -> Log:
        """A member, not started."""

    def reader(self) -> Reader:
        """A reader."""

    def publisher(self) -> Publisher:
        """A publisher."""

    async def purge(self, source: Source, before: int) -> None:
        """Delete what stands below an offset, as retention does."""

    def generation(self, log: Log) -> Any:
        """As of which generation of its group the log commits."""

    def back_to(self, log: Log, generation: Any) -> None:
        """Have it commit as of that one."""

    async def close(self) -> None:
        """Close all that was made."""


class MemoryFabric:
    """The in-memory twins."""

    def __init__(self) -> None:
        self.broker = MemoryBroker()

    async def topic(self, partitions: int = 1, max_message_bytes: int = 1_048_588) -> str:
        """A new topic."""
        name = f"t-{uuid4().hex[:8]}"
        self.broker.create(name, partitions, max_message_bytes)
        return name

    def log(self, group: str, slot: str) -> Log:
        """A member, not started."""
        return MemoryLog(self.broker, group, slot)

    def reader(self) -> Reader:
        """A reader."""
        return MemoryReader(self.broker)

    def publisher(self) -> Publisher:
        """A publisher."""
        return MemoryPublisher(self.broker)

    async def purge(self, source: Source, before: int) -> None:
        """See Fabric."""
        self.broker.partition(source).purge(before)

    def generation(self, log: Log) -> Any:
        """See Fabric."""
        return self._member(log).generation

    def back_to(self, log: Log, generation: Any) -> None:
        """See Fabric."""
        self._member(log).generation = generation

    def _member(self, log: Log) -> Member:
        assert isinstance(log, MemoryLog)
        assert log._member is not None
        return log._member

    async def close(self) -> None:
        """Nothing is held."""


class KafkaFabric:
    """The real parts."""

    def __init__(self, bootstrap: str) -> None:
        self.settings = KafkaSettings(bootstrap)
        self._made: list[Log | Reader | Publisher] = []

    async def topic(self, partitions: int = 1, max_message_bytes: int = 1_048_588) -> str:
        """A new topic."""
        name = f"t-{uuid4().hex[:8]}"
        admin = KafkaAdmin(self.settings)
        await admin.create([Topic(name, partitions, {"max.message.bytes": str(max_message_bytes)})])
        return name

    def log(self, group: str, slot: str) -> Log:
        """A member, not started."""
        self._made.append(made := KafkaLog(self.settings, group, slot))
        return made

    def reader(self) -> Reader:
        """A reader."""
        self._made.append(made := KafkaReader(self.settings))
        return made

    def publisher(self) -> Publisher:
        """A publisher."""
        self._made.append(made := KafkaPublisher(self.settings))
        return made

    async def purge(self, source: Source, before: int) -> None:
        """See Fabric."""
        admin = AdminClient(self.settings.admin())  # held: what it has begun ends with it
        (future,) = admin.delete_records([TopicPartition(*source, before)]).values()
        await asyncio.to_thread(future.result, 10)

    def generation(self, log: Log) -> Any:
        """See Fabric."""
        return self._thread(log).metadata

    def back_to(self, log: Log, generation: Any) -> None:
        """See Fabric."""
        self._thread(log).metadata = generation

    def _thread(self, log: Log) -> FetchThread:
        assert isinstance(log, KafkaLog)
        assert log._fetching is not None
        return log._fetching

    async def close(self) -> None:
        """Close all that was made."""
        await asyncio.gather(*(made.close() for made in self._made))


async def _nothing(sources: Sequence[Source]) -> None:
    """What an owner does last, if nothing else is set."""


class Notes:
    """An owner that starts where the group has committed, else at `start`, and notes what it was told."""

    def __init__(self, log: Log, start: int = 0) -> None:
        self.log = log
        self.start = start
        self.owned: set[Source] = set()
        self.told: list[tuple[str, tuple[Source, ...]]] = []
        self.held: list[Fetched] = []
        self.ended: set[Source] = set()
        self.parting: Callable[[Sequence[Source]], Awaitable[None]] = _nothing

    async def assigned(self, sources: Sequence[Source]) -> Mapping[Source, int]:
        """Start where the group has committed."""
        self.told.append(("assigned", tuple(sources)))
        commits = await self.log.committed(sources)
        self.owned |= set(sources)
        return {source: self.start if commit is None else commit.offset for source, commit in commits.items()}

    async def revoked(self, sources: Sequence[Source]) -> None:
        """Let go."""
        self.told.append(("revoked", tuple(sources)))
        await self.parting(sources)
        self.owned -= set(sources)

    async def lost(self, sources: Sequence[Source]) -> None:
        """Let go."""
        self.told.append(("lost", tuple(sources)))
        self.owned -= set(sources)


class Joined(Notes):
    """A started member with short ways to use it."""

    @classmethod
    async def start_one(cls, log: Log, topics: Sequence[str], start: int = 0) -> Self:
        """Start a member; it has no partitions yet."""
        joined = cls(log, start)
        await log.start(topics, joined)
        return joined

    async def fetch(self, wait_s: float = 0.5, max_rows: int = 1000, max_bytes: int = 10_000_000) -> Fetched:
        """One fetch, with headers."""
        if self.held:
            return self.held.pop(0)
        fetched = await self.log.fetch(max_rows, max_bytes, wait_s, frozenset(source.topic for source in self.owned))
        self.ended |= fetched.ended
        return fetched

    async def until(self, done: Callable[[], bool], within_s: float = 20.0) -> None:
        """Fetch until something holds; what came is fetched again."""
        held: list[Fetched] = []
        async with asyncio.timeout(within_s):
            while not done():
                held.append(await self.fetch(0.05))
        self.held = [fetched for fetched in held if fetched.records]

    async def values(self, count: int, within_s: float = 20.0) -> list[bytes | None]:
        """The next `count` values."""
        found: list[bytes | None] = []
        async with asyncio.timeout(within_s):
            while len(found) < count:
                for records in (await self.fetch(0.2)).records:
                    found.extend(records.values)
        return found

    async def end(self, sources: set[Source], within_s: float = 20.0) -> None:
        """Fetch until the end of each source was reached since this was last asked."""
        async with asyncio.timeout(within_s):
            while not sources <= self.ended:
                await self.fetch(0.2)
        self.ended -= sources


def outgoing(topic: str, *values: bytes, partition: int | None = 0, tracked: bool = False) -> Outgoing:
    """Records without keys."""
    return Outgoing(topic, [None] * len(values), list(values), None, partition, tracked)


def named(kind: str) -> str:
    """A name not used before."""
    return f"{kind}-{uuid4().hex[:8]}"


async def transact(log: Log, *records: Outgoing, commits: tuple[Commit, ...] = ()) -> list[int]:
    """One whole transaction; the tracked offsets."""
    await log.begin()
    for record in records:
        log.produce(record)
    tracked = await log.flush()
    await log.commit(commits)
    return list(tracked)


async def alone(fabric: Fabric, topic: str, start: int = 0) -> Joined:
    """The only member of a new group, with its partitions."""
    member = await Joined.start_one(fabric.log(named("group"), named("slot")), [topic], start)
    await member.until(lambda: bool(member.owned))
    return member
