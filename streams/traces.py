"""Finds the rows of a batch that are traced, and what is told of each when its batch has committed."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from typing import assert_never

import numpy as np

from processors.flow.compiled import Flow
from processors.step import Batch, Intake
from schemas import headers as names
from schemas.tracing import Trace, sampled, trace
from schemas.vocabulary import Verdict
from streams.outcomes import Endings
from streams.stepping import Journey
from streams.watch import Passage


def traced(batch: Batch, share: float) -> Batch:
    """The batch, knowing which of its rows are traced; their headers are read, nobody else's."""
    intake = batch.intake
    rows = _rows(intake, share)
    return replace(batch, intake=replace(intake, traces={row: _trace(intake, row) for row in rows})) if rows else batch


def traced_journey(journey: Journey, share: float) -> Journey:
    """The same for rows whose fate is known without a step."""
    for fate in journey.fates:
        batch = traced(fate.batch, share)
        if batch is not fate.batch:
            return replace(journey, intake=batch.intake, fates=[fate.within(batch.intake) for fate in journey.fates])
    return journey


def passages(ended: Endings) -> Iterator[Passage]:
    """Of a journey's traced rows."""
    journey = ended.journey
    for fate in journey.fates if journey.intake.traces else ():
        for _, row, one in fate.batch.traced():
            trip, kind = journey.intake.trip(row), ended.kind_of(row)
            verdict = Verdict(kind.verdict)
            yield Passage(
                one,
                journey.flow.ident,
                trip.root,
                journey.intake.position(row),
                trip.generation,
                trip.number,
                verdict,
                kind.reason,
                _topic(journey.flow, verdict, trip.attempt),
                [timing for timing in journey.timings if timing.at <= fate.step],
            )


def _rows(intake: Intake, share: float) -> list[int]:
    """By the root position, so that each pass of an event is traced or none."""
    if not share:
        return []
    chosen = np.zeros(len(intake), bool)
    if intake.trips is None:
        places = [(source, np.flatnonzero(intake.source == index)) for index, source in enumerate(intake.sources)]
        roots = intake.offset
    else:
        roots = np.array([trip.root.offset for trip in intake.trips], np.int64)
        rows = defaultdict(list)
        for row, trip in enumerate(intake.trips):
            rows[trip.root.source].append(row)
        places = [(source, np.array(mine)) for source, mine in rows.items()]
    for source, mine in places:
        chosen[mine] = sampled(source, roots[mine], share)
    return [int(row) for row in np.flatnonzero(chosen)]


def _trace(intake: Intake, row: int) -> Trace:
    trip = intake.trip(row)
    given = dict(intake.headers[row] or ()) if intake.headers is not None else {}
    return trace(trip.root, trip.generation, trip.number, given.get(names.TRACEPARENT) or given.get(names.CE_TRACEPARENT))


def _topic(flow: Flow, verdict: Verdict, attempt: int) -> str:
    """Where the record of a verdict goes."""
    match verdict:
        case Verdict.RESULT:
            return flow.topics.result
        case Verdict.QUARANTINE:
            return flow.topics.quarantine
        case Verdict.DEAD_LETTER | Verdict.UNREADABLE:
            return flow.topics.dead_letters
        case Verdict.REVIEW:
            return flow.topics.reviews
        case Verdict.RETRY:
            return flow.topics.retries[attempt]
        case Verdict.FILTERED | Verdict.SUPERSEDED:
            return ""
        case _:
            assert_never(verdict)
