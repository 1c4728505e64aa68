"""An in-memory broker: topics, transactional producers and consumer groups, deterministic, under a clock that the caller gives."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from connectors.log import Commit, Outgoing
from connectors.memory.group import Group
from connectors.memory.murmur2 import partition_of
from connectors.memory.partition import Entry, Partition, Transaction
from schemas.errors import AbortError, FatalError, UsageError
from schemas.positions import Position, Source

_OVERHEAD_BYTES = 70  # of a batch with one record


@dataclass(slots=True)
class Topic:
    """A topic and its settings."""

    name: str
    topic_id: str
    partitions: list[Partition]
    max_message_bytes: int
    turn: int = 0  # whose turn it is among the partitions, for records without a key


@dataclass(slots=True)
class Producer:
    """A transactional id: who holds it has the newest epoch."""

    name: str
    epoch: int = 0
    open: Transaction | None = None
    offsets: dict[str, dict[Source, Commit]] = field(default_factory=dict)  # by group, sent in the open transaction


class MemoryBroker:
    """Everything that members, readers and publishers share. `clock` gives seconds since 1970."""

    def __init__(
        self, clock: Callable[[], float] = time.time, transaction_timeout_s: float = 10.0, session_timeout_s: float = 10.0
    ) -> None:
        self.clock = clock
        self.topics: dict[str, Topic] = {}
        self.groups: dict[str, Group] = {}
        self._transaction_timeout_s = transaction_timeout_s
        self._session_timeout_s = session_timeout_s
        self._producers: dict[str, Producer] = {}
        self._waiters: dict[asyncio.Future[None], None] = {}
        self._created = 0

    def create(self, name: str, partitions: int = 1, max_message_bytes: int = 1_048_588) -> None:
        """Make a topic; made again after `delete` it has another id."""
        self._created += 1
        parts = [Partition(Source(name, number)) for number in range(partitions)]
        self.topics[name] = Topic(name, f"memory-{self._created:015d}", parts, max_message_bytes)

    def delete(self, name: str) -> None:
        """Remove a topic with its records and the groups' offsets in it."""
        del self.topics[name]
        for group in self.groups.values():
            group.offsets = {source: commit for source, commit in group.offsets.items() if source.topic != name}

    def topic(self, name: str) -> Topic:
        """The topic of that name.

        Raises:
            UsageError: there is no such topic.
        """
        if name not in self.topics:
            raise UsageError(f"there is no topic {name}", "create it with `weft flow apply`")
        return self.topics[name]

    def partition(self, source: Source) -> Partition:
        """The partition of a source, with transactions that have timed out ended."""
        self.expire_transactions()
        return self.topic(source.topic).partitions[source.partition]

    def group(self, name: str) -> Group:
        """The group of that name, made when first asked for."""
        if name not in self.groups:
            self.groups[name] = Group(name, self._sources, self.clock, self._session_timeout_s, self.tell)
        return self.groups[name]

    def retain(self, name: str, retention_s: float) -> None:
        """Delete a topic's records that are older."""
        for part in self.topic(name).partitions:
            part.expire(int((self.clock() - retention_s) * 1000))

    def _sources(self, topics: Sequence[str]) -> list[Source]:
        return [part.source for name in topics for part in self.topic(name).partitions]

    # Writing

    def append(self, outgoing: Outgoing, transaction: Transaction | None = None) -> list[Position]:
        """Store records; where they landed.

        Raises:
            AbortError: a record is above the topic's size; those before it are stored.
        """
        topic = self.topic(outgoing.topic)
        now_ms = int(self.clock() * 1000)
        positions = []
        for row, (key, value) in enumerate(zip(outgoing.keys, outgoing.values, strict=True)):
            headers = outgoing.headers[row] if outgoing.headers is not None else []
            self._check_size(topic, key, value, headers)
            part = topic.partitions[self._choose(topic, key) if outgoing.partition is None else outgoing.partition]
            offset = part.append(Entry(0, now_ms, key, value, list(headers), transaction))
            positions.append(Position(*part.source, offset))
        self.tell()
        return positions

    def _check_size(self, topic: Topic, key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes | None]]) -> None:
        size = _OVERHEAD_BYTES + len(key or b"") + len(value or b"") + sum(len(name) + len(data or b"") + 2 for name, data in headers)
        if size > topic.max_message_bytes:
            raise AbortError(f"a record of {size} bytes is above the {topic.max_message_bytes} that topic {topic.name} takes")

    def _choose(self, topic: Topic, key: bytes | None) -> int:
        if key is not None:
            return partition_of(key, len(topic.partitions))
        topic.turn = (topic.turn + 1) % len(topic.partitions)
        return topic.turn

    # Transactions

    def init_producer(self, name: str) -> int:
        """Take a transactional id over: its open transaction is aborted, its older holders are fenced. Returns the epoch."""
        producer = self._producers.setdefault(name, Producer(name))
        producer.epoch += 1
        self._end(producer, committed=False)
        return producer.epoch

    def producer(self, name: str, epoch: int) -> Producer:
        """The producer, if `epoch` still holds it.

        Raises:
            FatalError: it is fenced.
        """
        self.expire_transactions()
        producer = self._producers[name]
        if producer.epoch != epoch:
            raise FatalError(f"another process holds slot {name}: this one is fenced")
        return producer

    def begin(self, producer: Producer) -> None:
        """Open a transaction."""
        producer.open = Transaction(producer.name, self.clock())

    def end(self, producer: Producer, committed: bool) -> None:
        """Commit or abort the open transaction with its offsets."""
        self._end(producer, committed)

    def lose_markers(self, name: str) -> Transaction:
        """Abort a producer's transaction as a broker with KAFKA-20734 may: its partitions don't hear of it, and it hangs in them."""
        producer = self._producers[name]
        transaction, producer.open, producer.offsets = producer.open, None, {}
        if transaction is None:
            raise FatalError("no transaction is open")
        return transaction

    def _end(self, producer: Producer, committed: bool) -> None:
        transaction, producer.open = producer.open, None
        offsets, producer.offsets = producer.offsets, {}
        if transaction is not None:
            transaction.committed = committed
            for part in transaction.partitions:
                part.end(transaction)
        if committed:
            for group, commits in offsets.items():
                self.group(group).offsets.update(commits)
        self.tell()

    def expire_transactions(self) -> None:
        """Abort those that are open for too long, and fence their producers."""
        for producer in self._producers.values():
            if producer.open is not None and self.clock() - producer.open.started_s > self._transaction_timeout_s:
                producer.epoch += 1
                self._end(producer, committed=False)

    def unsettled(self, group: str, sources: Sequence[Source]) -> bool:
        """Whether an open transaction holds offsets of these."""
        self.expire_transactions()
        return any(source in producer.offsets.get(group, {}) for producer in self._producers.values() for source in sources)

    # Waiting

    def tell(self) -> None:
        """Wake whoever waits for news."""
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def news(self, wait_s: float) -> None:
        """Wait until something was written, ended or reassigned, at most wait_s."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiters[waiter] = None
        try:
            async with asyncio.timeout(wait_s):  # wait_for would swallow a cancellation that comes with the news (until Python 3.12)
                await waiter
        except TimeoutError:
            pass
        finally:
            del self._waiters[waiter]
