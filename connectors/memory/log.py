"""The log port in memory: one member of a group with one transactional producer."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence

from connectors.log import Commit, Ends, Fetched, Outgoing, Owner, Records
from connectors.memory.broker import MemoryBroker, Producer
from connectors.memory.group import Member
from connectors.memory.partition import as_records
from schemas.errors import AbortError, FatalError, OwnershipError
from schemas.positions import Source

METADATA_BYTES = 4096


class MemoryLog:
    """A `Log` on a `MemoryBroker`. A test may `kill()` it and make calls fail with `fail_next`."""

    def __init__(self, broker: MemoryBroker, group: str, slot: str, delay: Callable[[], float] = lambda: 0.0) -> None:
        """`delay`: seconds between what a call does and its return; others run meanwhile."""
        self.broker = broker
        self.slot = slot
        self._delay = delay
        self._group = broker.group(group)
        self._epoch = 0
        self._member: Member | None = None
        self._tracked: list[int] = []
        self._refused: AbortError | None = None  # why the open transaction must not commit
        self._turn = 0
        self._inbox = asyncio.Lock()
        self._coming: tuple[Fetched, Mapping[Source, int]] | None = None  # on its way to fetch(), and the rewinds that it knows of
        self._faults: dict[str, list[tuple[Exception, bool]]] = {}

    def fail_next(self, call: str, error: Exception, after: bool = False) -> None:
        """Let the next call of that name raise `error`, before or `after` it has done its work; `end` is a commit with its offsets sent."""
        self._faults.setdefault(call, []).append((error, after))

    def kill(self) -> None:
        """End this process as kill -9 does: nothing is closed, and the group finds out by its session timeout."""
        member = self._member
        if member is None:
            raise FatalError("the log was not started")
        member.died_s = self.broker.clock()
        member.gone.set()
        if member.call is not None:
            member.call.cancel()

    async def start(self, topics: Sequence[str], owner: Owner) -> None:
        """See Log."""
        self._check("start")
        for topic in topics:
            self.broker.topic(topic)
        self._epoch = self.broker.init_producer(self.slot)
        self._member = Member(self.slot, tuple(topics), owner)
        self._group.join(self._member)
        await self._returning("start")

    async def fetch(self, max_rows: int, max_bytes: int, wait_s: float, headers: frozenset[str] = frozenset()) -> Fetched:
        """See Log."""
        self._check("fetch")
        loop = asyncio.get_running_loop()
        end = loop.time() + wait_s
        await asyncio.sleep(0)
        while self._coming is None:  # else the fetch before was cancelled
            self._group.expire_dead()
            if self._joined().expelled:
                await self._rejoin()
            member = self._joined()
            fetched = Fetched(()) if member.call is not None else self._drain(member, max_rows, max_bytes, headers)
            if fetched.records or fetched.ended or loop.time() >= end:
                self._coming = fetched, dict(member.turned)
            else:
                await self.broker.news(end - loop.time())
        await self._returning("fetch")
        (fetched, turned), self._coming = self._coming, None
        return _without(fetched, {source for source, turn in self._joined().turns.items() if turned.get(source, 0) != turn})

    def _drain(self, member: Member, max_rows: int, max_bytes: int, headers: frozenset[str]) -> Fetched:
        self.broker.expire_transactions()
        found: list[Records] = []
        ended = set()
        sources = sorted(source for source in member.positions if source not in member.paused)
        self._turn += 1
        first = self._turn % len(sources) if sources else 0
        for source in (*sources[first:], *sources[:first]):
            if max_rows <= 0 or max_bytes <= 0:
                break
            part, position = self.broker.topic(source.topic).partitions[source.partition], member.positions[source]
            if not part.low <= position <= part.high:
                raise FatalError(f"offset {position} of {source} is outside [{part.low}, {part.high})")
            stable = part.stable
            if position >= stable == member.ended.get(source):
                continue
            entries, member.positions[source] = part.scan(position, max_rows, max_bytes)
            if entries:
                found.append(as_records(source, entries, source.topic in headers))
                max_rows -= len(entries)
                max_bytes -= sum(entry.size_bytes for entry in entries)
            if member.positions[source] >= stable != member.ended.get(source):
                member.ended[source] = stable
                ended.add(source)
        return Fetched(found, frozenset(ended))

    async def _rejoin(self) -> None:
        member = self._joined()
        if member.call is not None:  # it was told of a rebalance, and the group went on without it
            await asyncio.wait([member.call])
        await member.hear(member.lose())
        self._member = Member(self.slot, member.topics, member.owner, fault=member.fault)
        if member.fault is None:
            self._group.join(self._member)

    async def begin(self) -> None:
        """See Log."""
        self._check("begin")
        producer = self._producer()
        if producer.open is not None:
            raise FatalError("a transaction is open already")
        self._tracked, self._refused = [], None
        self.broker.begin(producer)
        await self._returning("begin")

    def produce(self, outgoing: Outgoing) -> None:
        """See Log."""
        self._check("produce")
        producer = self._producer()
        if producer.open is None:
            raise AbortError("no transaction is open")
        try:
            positions = self.broker.append(outgoing, producer.open)
        except AbortError as error:
            self._refused = error
            raise
        if outgoing.tracked:
            self._tracked.extend(position.offset for position in positions)
        self._check("produce", after=True)

    async def flush(self) -> Sequence[int]:
        """See Log."""
        self._check("flush")
        self._producer()
        await self._returning("flush")
        tracked, self._tracked = self._tracked, []
        return tracked

    async def commit(self, commits: Sequence[Commit]) -> None:
        """See Log."""
        generation = -1 if self._member is None else self._member.generation
        await self._going("commit")
        producer = self._producer()
        if producer.open is None:
            raise AbortError("no transaction is open")
        if self._refused is not None:
            raise self._refused
        if any(len(commit.metadata.encode()) > METADATA_BYTES for commit in commits):
            raise FatalError(f"an offset's metadata is above {METADATA_BYTES} bytes")
        if commits:
            if not self._group.owns(self._joined(), generation):
                raise OwnershipError(f"slot {self.slot} is not of the group's current generation")
            producer.offsets.setdefault(self._group.name, {}).update((commit.source, commit) for commit in commits)
        await self._going("end")  # here a process may die with its offsets sent
        self.broker.end(self._producer(), committed=True)
        await self._returning("commit")

    async def abort(self) -> None:
        """See Log."""
        self._check("abort")
        self._tracked = []
        self.broker.end(self._producer(), committed=False)
        await self._returning("abort")

    async def rewind(self, offsets: Mapping[Source, int]) -> None:
        """See Log."""
        member = self._joined()
        member.turns.update(offsets.keys())
        turns = {source: member.turns[source] for source in offsets}
        await self._commanded("rewind")
        member.turned.update(turns)
        for source in offsets.keys() & member.positions.keys():
            member.positions[source] = offsets[source]
            member.ended.pop(source, None)
        self.broker.tell()
        await self._returning("rewind")

    async def pause(self, sources: Sequence[Source]) -> None:
        """See Log."""
        await self._commanded("pause")
        member = self._joined()
        member.paused.update(source for source in sources if source in member.positions or source in member.coming)
        await self._returning("pause")

    async def resume(self, sources: Sequence[Source]) -> None:
        """See Log."""
        await self._commanded("resume")
        self._joined().paused.difference_update(sources)
        self.broker.tell()
        await self._returning("resume")

    async def committed(self, sources: Sequence[Source]) -> Mapping[Source, Commit | None]:
        """See Log."""
        await self._commanded("committed")
        while self.broker.unsettled(self._group.name, sources):
            await self.broker.news(0.05)
        return {source: self._group.offsets.get(source) for source in sources}

    async def ends(self, topics: Sequence[str]) -> Mapping[Source, Ends]:
        """See Log."""
        self._check("ends")
        parts = [self.broker.partition(part.source) for topic in topics for part in self.broker.topic(topic).partitions]
        return {part.source: Ends(part.stable, part.high) for part in parts}

    async def rooms(self, topics: Sequence[str]) -> Mapping[str, int]:
        """See Log."""
        self._check("rooms")
        return {name: self.broker.topic(name).max_message_bytes for name in topics if name in self.broker.topics}

    async def close(self) -> None:
        """See Log."""
        if self._member is None or self._member.died_s is not None:
            return
        self._group.leave(self._member)
        self._member.fault = FatalError("the log is closed")
        with contextlib.suppress(FatalError):  # another holder of the slot has ended the transaction already
            await self.abort()

    async def _going(self, call: str) -> None:
        """Between a call and what it does."""
        self._check(call)
        await asyncio.sleep(self._delay())
        self._alive()

    async def _commanded(self, call: str) -> None:
        """A call of the consumer: one after the other, in their order."""
        async with self._inbox:
            await self._going(call)

    async def _returning(self, call: str) -> None:
        """Between what a call did and its return."""
        await asyncio.sleep(self._delay())
        self._check(call, after=True)

    def _check(self, call: str, after: bool = False) -> None:
        """Raise what a test has asked for, or what has ended this member."""
        self._alive()
        for at, (error, late) in enumerate(self._faults.get(call, [])):
            if late == after:
                del self._faults[call][at]
                raise error

    def _alive(self) -> None:
        if self._member is not None and self._member.died_s is not None:
            raise FatalError(f"slot {self.slot} was killed")

    def _joined(self) -> Member:
        if self._member is None:
            raise FatalError("the log was not started")
        if self._member.fault is not None:
            raise self._member.fault
        return self._member

    def _producer(self) -> Producer:
        return self.broker.producer(self.slot, self._epoch)


def _without(fetched: Fetched, sources: set[Source]) -> Fetched:
    """What was fetched of all but these: a rewind or a revocation has overtaken it."""
    if not sources:
        return fetched
    return Fetched([records for records in fetched.records if records.source not in sources], fetched.ended - sources)
