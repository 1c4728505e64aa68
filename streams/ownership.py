"""Which partitions a lane holds and what is committed for each; hears of rebalances, and drops the batches that they make void."""

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from typing import TypeVar

from connectors.hanging import settled
from connectors.log import Commit, Fetched
from schemas.positions import Source
from streams.admission import Admission
from streams.flight import Flight
from streams.lagging import Standing
from streams.ledger.mark import Mark, Waiting
from streams.memory import Memory
from streams.parts import LaneParts
from streams.pauses import Pauses
from streams.settle import Owned
from streams.sleepers import Sleeper
from streams.takeover import Start, Takeover
from streams.work import Work

T = TypeVar("T")


class Ownership:
    """The lane's `Owner`. `lock` is held by whoever settles, and by whoever changes what is held."""

    def __init__(self, parts: LaneParts, flight: Flight, pauses: Pauses, admission: Admission) -> None:
        flow = parts.flows[0]
        self.lock = asyncio.Lock()
        self.owned: dict[Source, Owned] = {}
        self.memory = Memory()
        self.ready = False  # a first assignment was heard
        self._parts, self._flight, self._pauses, self._admission = parts, flight, pauses, admission
        latest = flow.topics.input if flow.start == "latest" else ""  # what waits on retry and resume topics is always read
        self._takeover = Takeover(parts.reader, flow.name, parts.log_name, flow.topics.ledger, latest)
        self._resume = flow.topics.resume
        self._ended: set[Source] = set()
        self._waits: dict[Source, Waiting] = {}
        self._fault: BaseException | None = None

    async def assigned(self, sources: Sequence[Source]) -> Mapping[Source, int]:
        """See Owner."""
        return await self._kept(self._assigned(sources))

    async def revoked(self, sources: Sequence[Source]) -> None:
        """See Owner: what is in flight may finish, for a while."""
        await self._kept(self._revoked(sources))

    async def lost(self, sources: Sequence[Source]) -> None:
        """See Owner."""
        await self._kept(self._gone(sources))

    def check(self) -> None:
        """Raise what went wrong in a rebalance: the lane can't go on."""
        if self._fault is not None:
            raise self._fault

    def adopt(self, work: Work, after: Mapping[Source, Owned]) -> None:
        """The batch has committed."""
        self.owned.update(after)
        self.memory.adopt(work)
        for partition, review in work.closes:
            self._admission.reviews.settled(partition, review)
        for root, generation in work.starts:
            self._admission.redrives.settled(root.partition, root, generation, work.fetched_ms)
        for mine in after.values():
            self._parts.signer.committed(mine.tree)

    async def reread(self) -> None:
        """Drop what is in flight and go back to what is committed."""
        self._flight.drop_all()
        self.memory.dropped()
        self._admission.dropped()
        self._ended.clear()
        self._waits = {source: mine.waiting for source, mine in self.owned.items() if mine.waiting is not None}
        await self._parts.log.rewind({source: mine.next for source, mine in self.owned.items()})

    async def go_on_behind(self, head: Work) -> None:
        """Only the head is in flight any more, and it was cut: read on behind it."""
        self.memory.dropped()
        head.states.clear()
        self._admission.dropped(head)
        self._ended.clear()
        self._waits.update(head.waiting)
        self._pauses.asleep.update({source: waiting.due_ms for source, waiting in head.waiting.items()})
        await self._parts.log.rewind(
            {source: head.spans[source].next if source in head.spans else mine.next for source, mine in self.owned.items()}
        )

    def saw(self, fetched: Fetched, sleepers: Mapping[Source, Sleeper]) -> None:
        """Note which partitions were read to their end."""
        self._ended -= {records.source for records in fetched.records if len(records)}
        self._ended |= fetched.ended - sleepers.keys()

    def at_end(self) -> bool:
        """Whether all partitions held were read to their end."""
        return self._ended >= self.owned.keys()

    def standing(self) -> Mapping[Source, Standing]:
        """Where each partition stands."""
        oldest: dict[Source, int] = {}
        for work in self._flight.works():
            for records in work.records:
                if len(records):
                    oldest.setdefault(records.source, int(records.timestamps_ms.min()))
        ended = set() if self._pauses.everything else self._ended - oldest.keys()  # a partition that is not read may have grown
        return {source: Standing(mine.next, source in ended, oldest.get(source)) for source, mine in self.owned.items()}

    def waiting(self) -> Mapping[Source, Waiting]:
        """The rows at which partitions wait in place."""
        return self._waits

    async def _kept(self, call: Awaitable[T]) -> T:
        """A rebalance that fails must end the process, whichever thread heard of it."""
        try:
            return await call
        except Exception as fault:
            self._fault = fault
            raise

    async def _assigned(self, sources: Sequence[Source]) -> Mapping[Source, int]:
        async with self.lock:
            if not self.ready:  # nothing was committed by this process yet
                await settled(self._parts.log, self._parts.written, self._parts.bounds.hanging_s)
            elif sources:  # a block of the last owner may stand behind a transaction of a worker that stands still: it can't be read yet
                await settled(self._parts.log, [self._takeover.ledger], self._parts.bounds.hanging_s)
            committed = await self._parts.log.committed(sources) if sources else {}
            starts = await self._takeover.starts(committed)
            await self._begin(starts)
            for source, start in starts.items():
                self.owned[source] = Owned(start.offset, start.tree, start.waiting)
                self._parts.signer.committed(start.tree)
                if start.waiting is not None:
                    self._waits[source] = start.waiting
                    self._pauses.asleep[source] = start.waiting.due_ms
            self.ready = True
            self._parts.watch.owns(sorted(self.owned))
            await self._pauses.apply(self._parts.log, self.owned, self._parts.clock.now_ms())  # before the fetch under way brings a row
        return {source: start.offset for source, start in starts.items()}

    async def _begin(self, starts: Mapping[Source, Start]) -> None:
        """Trees that begin here are committed before a row is read, so that their beginning is never guessed again."""
        fresh = [Commit(source, start.offset, Mark.of(start.tree).encode()) for source, start in starts.items() if start.fresh]
        if fresh:
            await self._parts.log.begin()
            await self._parts.log.commit(fresh)

    async def _revoked(self, sources: Sequence[Source]) -> None:
        if sources:
            loop = asyncio.get_running_loop()
            until = loop.time() + self._parts.bounds.revoke_s
            while len(self._flight) and loop.time() < until:
                await self._flight.changed(until - loop.time())
        await self._gone(sources)

    async def _gone(self, sources: Sequence[Source]) -> None:
        async with self.lock:
            gone = {source for source in sources if self.owned.pop(source, None) is not None}
            if not gone:
                return
            self.memory.forget(gone)
            self._pauses.forget(gone)
            for source in gone:
                if source.topic == self._resume:
                    self._admission.forget(source.partition)
            await self.reread()
            self._parts.watch.owns(sorted(self.owned))
