"""Both sides of the log contract: the in-memory twin and a real Kafka, and an owner that notes what it is told."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol
from uuid import uuid4

from connectors.kafka.admin import KafkaAdmin, Topic
from connectors.kafka.log import KafkaLog
from connectors.kafka.publisher import KafkaPublisher
from connectors.kafka.reader import KafkaReader
from connectors.kafka.settings import KafkaSettings
from connectors.log import Fetched, Log, Outgoing, Publisher, Reader
from connectors.memory.broker import MemoryBroker
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


class KafkaFabric:
    """The real parts."""

    def __init__(self, bootstrap: str) -> None:
        self.settings = KafkaSettings(bootstrap)

    async def topic(self, partitions: int = 1, max_message_bytes: int = 1_048_588) -> str:
        """A new topic."""
        name = f"t-{uuid4().hex[:8]}"
        admin = KafkaAdmin(self.settings)
        await admin.create([Topic(name, partitions, {"max.message.bytes": str(max_message_bytes)})])
        return name

    def log(self, group: str, slot: str) -> Log:
        """A member, not started."""
        return KafkaLog(self.settings, group, slot)

    def reader(self) -> Reader:
        """A reader."""
        return KafkaReader(self.settings)

    def publisher(self) -> Publisher:
        """A publisher."""
        return KafkaPublisher(self.settings)


class Notes:
    """An owner that starts where the group has committed, else at `start`, and notes what it was told."""

    def __init__(self, log: Log, start: int = 0) -> None:
        self.log = log
        self.start = start
        self.owned: set[Source] = set()
        self.told: list[tuple[str, tuple[Source, ...]]] = []

    async def assigned(self, sources: Sequence[Source]) -> Mapping[Source, int]:
        """Start where the group has committed."""
        self.told.append(("assigned", tuple(sources)))
        commits = await self.log.committed(sources)
        self.owned |= set(sources)
        return {source: self.start if commit is None else commit.offset for source, commit in commits.items()}

    async def revoked(self, sources: Sequence[Source]) -> None:
        """Let go."""
        self.told.append(("revoked", tuple(sources)))
        self.owned -= set(sources)

    async def lost(self, sources: Sequence[Source]) -> None:
        """Let go."""
        self.told.append(("lost", tuple(sources)))
        self.owned -= set(sources)


class Joined(Notes):
    """A started member with short ways to use it."""

    @classmethod
    async def start_one(cls, log: Log, topics: Sequence[str], start: int = 0) -> "Joined":
        """Start a member; it has no partitions yet."""
        joined = cls(log, start)
        await log.start(topics, joined)
        return joined

    async def fetch(self, wait_s: float = 0.5, max_rows: int = 1000, max_bytes: int = 10_000_000) -> Fetched:
        """One fetch, with headers."""
        return await self.log.fetch(max_rows, max_bytes, wait_s, frozenset(source.topic for source in self.owned))

    async def until(self, done: Callable[[], bool], within_s: float = 20.0) -> None:
        """Fetch, and throw away, until something holds."""
        async with asyncio.timeout(within_s):
            while not done():
                await self.fetch(0.05)

    async def values(self, count: int, within_s: float = 20.0) -> list[bytes | None]:
        """The next `count` values."""
        found: list[bytes | None] = []
        async with asyncio.timeout(within_s):
            while len(found) < count:
                for records in (await self.fetch(0.2)).records:
                    found.extend(records.values)
        return found

    async def end(self, sources: set[Source], within_s: float = 20.0) -> None:
        """Fetch until the end of each source was reached."""
        ended: set[Source] = set()
        async with asyncio.timeout(within_s):
            while not sources <= ended:
                ended |= (await self.fetch(0.2)).ended


def outgoing(topic: str, *values: bytes, partition: int | None = 0, tracked: bool = False) -> Outgoing:
    """Records without keys."""
    return Outgoing(topic, [None] * len(values), list(values), None, partition, tracked)
