"""Turns fetched records into groups of rows to step: events as they are, waiting rows where they were, decisions once judged."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import accumulate

import numpy as np
import pyarrow as pa

from connectors.log import Outgoing, Reader, Records
from processors.flow.compiled import Flow, Limits
from processors.step import Batch, Headers, Intake, Trip
from schemas import decision as decisions
from schemas import pending
from schemas.decision import Action, Decision
from schemas.pending import Pending
from schemas.positions import Position, Source
from schemas.vocabulary import Reason, Verdict
from streams.approve import approved
from streams.ledger.mark import Waiting
from streams.redrives import FORGOTTEN, Redrives
from streams.returned import Plausible, columns_of
from streams.reviews import Reviews
from streams.stepping import Fate, Journey
from streams.waiting import Return, returns_groups, returns_intake
from streams.work import Group, Work


class Admission:
    """Knows what each consumed topic of a flow holds. `flows` are all versions that may have rows in flight, the applied one first."""

    def __init__(self, flows: Sequence[Flow], reader: Reader) -> None:
        self._flow = flows[0]
        self._flows: Mapping[str, Flow] = {flow.ident: flow for flow in flows}
        self.reviews = Reviews(reader, self._flow.topics.reviews)
        self.redrives = Redrives(reader, self._flow)
        self._plausible = Plausible(self._flow, self._flows, reader)

    async def admit(self, work: Work) -> None:
        """Fill the work's groups, and the journeys of rows whose fate needs no step. Called in the order of fetching."""
        events = [records for records in work.records if records.source.topic == self._flow.topics.input]
        if events:
            work.groups.append(Group(self._flow, 0, _events(events, work)))
        returns: list[Return] = []
        for records in work.records:
            if records.source.topic == self._flow.topics.resume:
                await self.reviews.read_on(records.source.partition)
                await self.redrives.read(records.source.partition)
            elif records.source.topic == self._flow.topics.input:
                continue
            for row in range(len(records)):
                found = await self._one(work, records, row)
                if found is not None:
                    returns.append(found)
        await self._forget(work)
        work.groups += returns_groups(self._flows, returns, work.fetched_ms)

    def readmit(self, work: Work) -> None:
        """The work was cut: its events are fewer."""
        events = [records for records in work.records if records.source.topic == self._flow.topics.input]
        others = [group for group in work.groups if group.batch.intake.sources[0].topic != self._flow.topics.input]
        work.groups[:] = [Group(self._flow, 0, _events(events, work)), *others]

    def dropped(self, head: Work | None = None) -> None:
        """No batch is in flight any more, or only this one."""
        self.reviews.dropped()
        self.redrives.dropped()
        if head is not None:
            for partition, review in head.closes:
                self.reviews.closes(partition, review)
            for root, generation in head.starts:
                self.redrives.start(root.partition, root, generation)

    def forget(self, partition: int) -> None:
        """A resume partition went to another owner."""
        self.reviews.forget(partition)
        self.redrives.let_go(partition)

    async def _forget(self, work: Work) -> None:
        """Generations that nobody can ask for any more."""
        for source in (source for source in work.spans if source.topic == self._flow.topics.resume):
            for root in await self.redrives.forgettable(source.partition, work.spans[source].next, work.fetched_ms):
                work.extra.append(self.redrives.forget(source.partition, root))
                work.starts.append((root, FORGOTTEN))

    async def _one(self, work: Work, records: Records, row: int) -> Return | None:
        """One record of a resume or retry topic: a row that goes on, or None and its end noted in the work."""
        position, value = Position(*records.source, int(records.offsets[row])), records.values[row]
        resume = records.source.topic == self._flow.topics.resume
        try:
            match pending.kind(value):
                case "pending" if value is not None:
                    waits = pending.decode(value)
                    await self._plausible.check(position, waits, work.fetched_ms)
                    return self._redriven(work, position, waits) if resume else self._retried(work, position, waits)
                case "decision" if value is not None and resume:
                    return await self._decided(work, position, decisions.decode(value), _alone(records, row, work.fetched_ms))
        except ValueError as error:
            return self._void(work, _alone(records, row, work.fetched_ms), Verdict.UNREADABLE, Reason.NOT_PENDING, str(error))
        return self._void(
            work, _alone(records, row, work.fetched_ms), Verdict.UNREADABLE, Reason.NOT_PENDING, "Weft did not write this record"
        )

    def _retried(self, work: Work, position: Position, waits: Pending) -> Return | None:
        if not (waits.number and waits.attempt):
            raise ValueError("it is no further pass of an event")
        columns = self._columns(waits)
        back = Return(position, waits, waits.number, waits.step_index, None, min(waits.first_consumed_ms, work.fetched_ms))
        if isinstance(columns, str):
            return self._end(work, back, Verdict.DEAD_LETTER, Reason.STEP_FAILED, columns)
        back = replace(back, columns=columns)
        if work.fetched_ms > waits.first_consumed_ms + self._limits(waits).deadline_s * 1000:
            return self._end(
                work, back, Verdict.DEAD_LETTER, Reason.DEADLINE, f"limits.deadline passed while it waited; last: {waits.sentence}"
            )
        return self._known(work, back)

    def _redriven(self, work: Work, position: Position, waits: Pending) -> Return | None:
        """A redrive runs from the first step, under the version applied now."""
        partition, flow = position.partition, self._flow
        if waits.number:
            raise ValueError("it is no first pass of an event")
        back = Return(position, _under(waits, flow), waits.number, 0, None, work.fetched_ms)
        if waits.generation != self.redrives.next(partition, waits.root) or waits.generation > flow.limits.redrives:
            sentence = f"generation {waits.generation} is not the next, or above limits.redrives ({flow.limits.redrives})"
            return self._end(work, back, Verdict.SUPERSEDED, Reason.NOT_NEXT, sentence)
        work.extra.append(self.redrives.start(partition, waits.root, waits.generation))
        work.starts.append((waits.root, waits.generation))
        return back

    async def _decided(self, work: Work, position: Position, decision: Decision, alone: Intake) -> Return | None:
        """The first decision about an open review counts; it closes it."""
        waits = await self.reviews.find(position.partition, decision.review)
        if waits is None:
            return self._void(work, alone, Verdict.SUPERSEDED, Reason.NOT_OPEN, f"review {decision.review} is not open")
        await self._plausible.check(position, waits, work.fetched_ms)
        waited_ms = max(0, work.fetched_ms - (waits.due_ms - int(self._limits(waits).review_s * 1000)))
        first_ms = min(waits.first_consumed_ms + waited_ms, work.fetched_ms)
        back = Return(position, waits, waits.number + 1, waits.step_index + 1, None, first_ms)
        said = f"{decision.who}: {decision.why}"
        match decision.action:
            case Action.REJECT:
                ended = self._end(work, back, Verdict.QUARANTINE, Reason.REJECTED, said)
            case Action.EXPIRE:
                if waits.due_ms > work.fetched_ms:
                    self.reviews.not_due(position.partition, decision.review)
                    return self._end(work, back, Verdict.SUPERSEDED, Reason.NOT_OPEN, "the review is not due yet")
                ended = self._end(work, back, Verdict.DEAD_LETTER, Reason.REVIEW_EXPIRED, "nobody decided within limits.review")
            case Action.APPROVE:
                fit = self._fit(waits, decision)
                if isinstance(fit, str):
                    return self._end(work, back, Verdict.SUPERSEDED, Reason.UNFIT, fit)
                ended = self._known(work, replace(back, columns=fit))
        self.reviews.closes(position.partition, decision.review)
        work.closes.append((position.partition, decision.review))
        work.extra.append(Outgoing(self._flow.topics.reviews, [decision.review.encode()], [None], partition=position.partition))
        return ended

    def _fit(self, waits: Pending, decision: Decision) -> pa.RecordBatch | str | None:
        """The columns to go on with; a sentence where the decision does not fit the step; None where the flow version is gone."""
        flow = self._flows.get(f"{waits.flow}@{waits.version}")
        return None if flow is None else approved(flow, waits, decision)

    def _limits(self, waits: Pending) -> Limits:
        """Those of the version that the row began with; of the applied one where that is gone, and the row ends."""
        return self._flows.get(f"{waits.flow}@{waits.version}", self._flow).limits

    def _columns(self, waits: Pending) -> pa.RecordBatch | str | None:
        return columns_of(waits, self._flows.get(f"{waits.flow}@{waits.version}"))

    def _known(self, work: Work, back: Return) -> Return | None:
        """A row goes on under its own flow version."""
        ident = f"{back.pending.flow}@{back.pending.version}"
        if ident in self._flows:
            return back
        return self._end(work, back, Verdict.DEAD_LETTER, Reason.UNKNOWN_FLOW, f"the row waited for {ident}, which is not applied any more")

    def _end(self, work: Work, back: Return, verdict: Verdict, reason: Reason, sentence: str) -> Return | None:
        """A row that came back and ends without a step: none goes on."""
        flow = self._flows.get(f"{back.pending.flow}@{back.pending.version}", self._flow)
        found = self._columns(back.pending)
        columns = found if isinstance(found, pa.RecordBatch) else _NO_COLUMNS
        batch = Batch(columns, np.zeros(1, np.int64), returns_intake([back], work.fetched_ms))
        fate = Fate(batch, back.pending.step_index, verdict, reason, back.pending.rule, sentence)
        work.journeys.append(Journey(flow, batch.intake, [fate]))
        return None

    def _void(self, work: Work, alone: Intake, verdict: Verdict, reason: Reason, sentence: str) -> Return | None:
        """A record that belongs to no event: no row goes on."""
        batch = Batch(_NO_COLUMNS, np.zeros(1, np.int64), alone)
        work.journeys.append(Journey(self._flow, alone, [Fate(batch, 0, verdict, reason, sentence=sentence)]))
        return None


_NO_COLUMNS = pa.RecordBatch.from_arrays([], names=[])


def _events(records: Sequence[Records], work: Work) -> Batch:
    """Records of input partitions as one batch; each is pass 0 of its own position."""
    sources = tuple(part.source for part in records)
    intake = Intake(
        sources,
        np.repeat(np.arange(len(records), dtype=np.int16), [len(part) for part in records]),
        np.concatenate([part.offsets for part in records]),
        np.concatenate([part.timestamps_ms for part in records]),
        [key for part in records for key in part.keys],
        [value for part in records for value in part.values],
        _joined([part.headers for part in records]),
        work.fetched_ms,
    )
    if work.resumed:
        intake = replace(intake, trips=[_tried(work.resumed, intake.trip(row)) for row in range(len(intake))])
    return Batch(_NO_COLUMNS, np.arange(len(intake)), intake)


def _tried(resumed: Mapping[Source, Waiting], trip: Trip) -> Trip:
    """The pass of a row, with the attempts that were made in place."""
    waiting = resumed.get(trip.root.source)
    if waiting is None or waiting.offset != trip.root.offset:
        return trip
    return trip._replace(attempt=waiting.attempt, first_consumed_ms=waiting.first_consumed_ms)


def _joined(parts: Sequence[Sequence[Headers] | None]) -> Sequence[Headers] | None:
    """Headers of several sources, still unread."""
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    return known[0] if len(known) == 1 else _Joined(known)


class _Joined(Sequence[Headers]):
    """Sequences one behind the other, without reading their items."""

    def __init__(self, parts: Sequence[Sequence[Headers]]) -> None:
        self._parts = parts
        self._ends = list(accumulate(len(part) for part in parts))

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, row):  # type: ignore[no-untyped-def]
        part = bisect_right(self._ends, row)
        return self._parts[part][row - (self._ends[part - 1] if part else 0)]


def _alone(records: Records, row: int, fetched_ms: int) -> Intake:
    """One record as an intake of its own."""
    headers = None if records.headers is None else [records.headers[row]]
    at = slice(row, row + 1)
    zero = np.zeros(1, np.int16)
    return Intake(
        (records.source,), zero, records.offsets[at], records.timestamps_ms[at], records.keys[at], records.values[at], headers, fetched_ms
    )


def _under(waits: Pending, flow: Flow) -> Pending:
    """The same event under another version of the flow."""
    return replace(waits, flow=flow.name, version=flow.version, attempt=0, columns=None, step_index=0)
