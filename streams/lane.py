"""The lane: fetch, steps, settle for one flow in one worker. Plain asyncio against the ports of connectors/log.py; no Kafka, no Faust.

Loops run side by side: `fetching` brings work, `process` steps it (several batches at once), `settling` commits it, in order, one
transaction at a time; `expiring` watches over open reviews. What a batch changes (step state, trees, open reviews) counts only once its
transaction has committed; when one fails, all behind it are void and read again from the committed offsets.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from time import perf_counter

from connectors.log import Fetched
from schemas.errors import AbortError, FatalError, OwnershipError, UnreachableError, UnreadableError
from schemas.metrics import Phase
from schemas.positions import Source
from streams.admission import Admission
from streams.expiry import ask_expired
from streams.flight import Flight
from streams.inplace import cut, waiting_rows
from streams.lagging import Lagging
from streams.ownership import Ownership
from streams.parts import LaneParts
from streams.pauses import Pauses
from streams.prepare import prepare
from streams.room import Rooms
from streams.settle import transact
from streams.sleepers import due_records
from streams.stepping import travel
from streams.traces import traced, traced_journey
from streams.watch import Settled
from streams.work import Prepared, Turn, Work, work_of


class Lane:
    """One flow in one worker. An exception out of one of its loops must end the process."""

    def __init__(self, parts: LaneParts) -> None:
        self.flow = parts.flows[0]
        self._parts = parts
        self._log, self._clock, self._watch, self._bounds = parts.log, parts.clock, parts.watch, parts.bounds
        self._flight = Flight(parts.bounds)
        self._pauses = Pauses(max((int(delay_s * 1000) for flow in parts.flows for delay_s in flow.limits.retries_s), default=0))
        self._admission = Admission(parts.flows, parts.reader)
        self._ownership = Ownership(parts, self._flight, self._pauses, self._admission)
        self._rooms = Rooms()  # as the topics are at the start
        self._draining = False
        self._down: dict[str, str] = {}  # steps whose port can't be reached, and the sentence
        self._failing_since_ms: int | None = None
        self._verdicts: Counter[str] = Counter()
        self._fetched_s = perf_counter()  # when the log last answered

    async def start(self) -> None:
        """Join the group; partitions come with the first fetches."""
        await self._log.start(self._parts.consumed, self._ownership)
        self._rooms = Rooms(await self._log.rooms(self._parts.written))

    async def run(self) -> None:
        """All loops in one, until drained."""
        async with asyncio.TaskGroup() as tasks:
            others = [tasks.create_task(loop()) for loop in (self.settling, self.expiring)]
            await self.fetching(self.process)
            await self._emptied()
            for task in others:
                task.cancel()

    async def fetching(self, put: Callable[[Work], Awaitable[None]]) -> None:
        """Fetch until drained; hand over each work in order."""
        consumed = frozenset(self._parts.consumed)
        while not self._draining:
            await self._pauses.apply(self._log, self._ownership.owned, self._clock.now_ms())
            began = perf_counter()
            try:
                fetched = await self._log.fetch(self._bounds.batch_rows, self._bounds.batch_bytes, self._wait_s(), consumed)
            except UnreadableError:  # what came before it is settled: whoever gives it up gives up nothing else
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._bounds.drain_s):
                        await self._emptied()
                raise
            self._fetched_s = perf_counter()
            self._ownership.check()
            work, back = self._received(fetched)
            if work is not None:
                work.phases[Phase.FETCH] = self._fetched_s - began
                self._flight.enter(work)  # before anything is awaited: who drops what is in flight must find it there
            if back:
                await self._log.rewind(back)
            if work is not None:
                await put(work)
            await self._flight.gathered()
            self._pauses.full = self._flight.full and not await self._room()

    async def expiring(self) -> None:
        """Watch over the deadlines of open reviews, for ever."""
        while True:
            try:
                await ask_expired(
                    self._parts.publisher, self.flow, self._admission.reviews, list(self._ownership.owned), self._clock.now_ms()
                )
            except UnreachableError as error:  # whoever settles will see to it; a deadline may wait
                self._watch.failed(f"expiring: {error.sentence}")
            await self._clock.sleep(self._bounds.expiry_s)

    async def process(self, work: Work) -> None:
        """Begin to step a work; returns at once."""
        if not work.void:
            work.task = asyncio.create_task(self._advance(work))

    async def settling(self) -> None:
        """Settle in order, for ever."""
        free_s = perf_counter()
        while True:
            work = self._flight.head()
            if work is None:
                await self._flight.changed(self._bounds.poll_s)
                continue
            await self._readied(work)
            work.phases[Phase.IDLE] = perf_counter() - free_s
            if work.task is not None and work.task.done() and not work.task.cancelled():
                work.task.result()
            if not work.void:
                await self._settle(work)
            free_s = perf_counter()

    def pause(self, why: str) -> None:
        """Fetch nothing while any `why` stands; what is in flight goes on."""
        self._pauses.reasons.add(why)

    def resume(self, why: str) -> None:
        """Take a reason back."""
        self._pauses.reasons.discard(why)

    def stop(self) -> None:
        """Fetch no more; `fetching` returns."""
        self._draining = True

    async def drain(self) -> None:
        """Fetch no more, settle what is in flight, sign. What can't be settled in time is read again by whoever comes next."""
        self.stop()
        try:
            async with asyncio.timeout(self._bounds.drain_s):
                await self._emptied()
        except TimeoutError:
            self._flight.drop_all()
        await self._parts.signer.flush()

    async def close(self) -> None:
        """Leave the group."""
        self._flight.drop_all()
        await self._log.close()

    def idle(self) -> bool:
        """Whether every partition held was read to its end, nothing is in flight, and no row waits for its retry."""
        return self._ownership.ready and not len(self._flight) and not self._pauses.asleep and self._ownership.at_end()

    def lagging(self) -> Lagging:
        """Who knows how far the lane is behind, once somebody runs it."""
        return Lagging(self._parts.reader, self._log, self._ownership.standing, self._clock)

    def status(self) -> Mapping[str, object]:
        """For people: what it holds, what it waits for."""
        return {
            "flow": self.flow.ident,
            "sources": {str(source): owned.next for source, owned in sorted(self._ownership.owned.items())},
            "fetched_ago_s": round(perf_counter() - self._fetched_s, 3),
            "in_flight": {"batches": len(self._flight), "bytes": self._flight.held_bytes},
            "paused": sorted(self._pauses.reasons),
            "full": self._pauses.full,
            "waiting_for": dict(self._down),
            "failing": self._failing_since_ms is not None,
            "asleep": {str(source): due for source, due in self._pauses.asleep.items()},
            "reviews_open": self._admission.reviews.count(),
            "verdicts": dict(self._verdicts),
            "idle": self.idle(),
        }

    def _wait_s(self) -> float:
        """How long a fetch may wait: not beyond the next retry that falls due."""
        due = min(self._pauses.asleep.values(), default=0)
        return min(self._bounds.poll_s, max(0.0, (due - self._clock.now_ms()) / 1000)) if due else self._bounds.poll_s

    def _received(self, fetched: Fetched) -> tuple[Work | None, Mapping[Source, int]]:
        """The rows that are due, as work, and where to fetch the others again; retry topics whose next row isn't due are put to sleep."""
        if self._pauses.reasons:  # somebody paused the flow while the fetch was under way
            return None, {records.source: int(records.offsets[0]) for records in fetched.records if len(records)}
        now_ms = self._clock.now_ms()
        due, sleepers = due_records(self._parts.flows, fetched, self._pauses.asleep, now_ms)
        self._ownership.saw(fetched, sleepers)
        self._pauses.asleep.update({source: sleeper.due_ms for source, sleeper in sleepers.items()})
        work = work_of(due, self._ownership.waiting(), now_ms)
        return work, {source: sleeper.offset for source, sleeper in sleepers.items()}

    async def _room(self) -> bool:
        """Wait for room, but not for long: the group must hear of us."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + self._bounds.room_s
        while self._flight.full and loop.time() < until_s and not self._draining:
            await self._flight.changed(until_s - loop.time())
        return not self._flight.full

    async def _emptied(self) -> None:
        while len(self._flight):
            await self._flight.changed(self._bounds.poll_s)

    async def _advance(self, work: Work) -> None:
        """Admit and step a work, and write down what became of its rows."""
        try:
            if work.previous is not None:
                await work.previous.admitted.wait()
            await self._admission.admit(work)
            work.journeys[:] = [traced_journey(journey, self._parts.trace_share) for journey in work.journeys]
            work.admitted.set()
            ended = list(work.journeys)
            await self._step(work)
            while self.flow.order == "key" and await self._cut(work):
                work.journeys[:] = ended
                await self._step(work)
            with work.taking(Phase.PREPARE):
                work.prepared = prepare(work, self.flow.details, self._clock.now_ms(), self._rooms, self._parts.chance)
        finally:
            if work.void:
                self._down.clear()  # those that still wait say so again
            work.is_ready()

    async def _step(self, work: Work) -> None:
        turn, states, share, guard = Turn(work), self._ownership.memory.of(work), self._parts.trace_share, self._parts.guard
        for group in work.groups:
            work.journeys.append(await travel(group.flow, traced(group.batch, share), group.entry, states, turn, self._wait, guard))
        self._down.clear()

    async def _cut(self, work: Work) -> bool:
        """Cut the work at rows that must wait in place; it is stepped again, from what is adopted, once it is the head."""
        waits = waiting_rows(self.flow, work, self._clock.now_ms())
        if not waits:
            return False
        while self._flight.head() is not work:
            await self._flight.changed(self._bounds.poll_s)
        cut(work, waits)
        work.passed.clear()
        self._flight.drop_behind(work)
        await self._ownership.go_on_behind(work)
        self._admission.readmit(work)
        return True

    async def _wait(self, step: str, error: UnreachableError) -> None:
        """A port is down: the batch waits, the flight fills up, the partitions pause."""
        if step not in self._down:
            self._watch.failed(f"{step}: {error.sentence}")
        self._down[step] = f"{error.sentence}; {error.hint}" if error.hint else error.sentence
        await self._clock.sleep(self._bounds.poll_s)

    async def _settle(self, work: Work) -> None:
        """Commit the head; when it fails, everything in flight is read again."""
        began = perf_counter()
        async with self._ownership.lock:
            prepared = work.prepared
            if work.void or prepared is None:
                return
            self._flight.begins(work)
            try:
                after = await transact(self._log, self.flow.topics.ledger, work, prepared, self._ownership.owned)
            except (AbortError, OwnershipError) as error:
                self._watch.failed(f"{type(error).__name__}: {error.sentence}")
                await self._log.abort()
                await self._ownership.reread()
                self._check_progress(error)
                return
            self._ownership.adopt(work, after)
            self._parts.guard.settled(work.spans)
            self._flight.leave(work)
        self._failing_since_ms = None
        self._told(work, prepared, began)

    async def _readied(self, work: Work) -> None:
        """Wait until the head is ready; one that nobody began to step was lost on its way here, and only a new start reads it again."""
        while not work.ready.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(self._bounds.stalled_s):
                    await work.ready.wait()
            if work.task is None and not work.void:
                raise FatalError(f"a batch was fetched, and {self._bounds.stalled_s:.0f} s later nobody has begun to step it")

    def _check_progress(self, error: Exception) -> None:
        now_ms = self._clock.now_ms()
        self._failing_since_ms = self._failing_since_ms or now_ms
        if now_ms - self._failing_since_ms > self._bounds.stalled_s * 1000:
            raise FatalError(f"no transaction has committed for {self._bounds.stalled_s:.0f} s; last: {error}") from error

    def _told(self, work: Work, prepared: Prepared, began_s: float) -> None:
        """Tell who watches, now that it has happened."""
        took_s = perf_counter() - began_s
        for (verdict, _, _), rows in prepared.verdicts.items():
            self._verdicts[verdict] += rows
        timings = [timing for journey in work.journeys for timing in journey.timings]
        times = work.fetched_ms, work.oldest_ms(), began_s, took_s
        self._watch.settled(Settled(prepared.verdicts, len(work.waiting), *times, timings, prepared.passages, work.phases))
        if prepared.signals:
            self._watch.signalled(prepared.signals)
