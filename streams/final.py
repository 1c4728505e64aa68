"""What a fate finally comes to: a result that its schema refuses is a dead letter, and so is a retry when there is none left."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from processors.flow.compiled import Flow
from processors.step import Batch, Rows, Trip
from schemas.vocabulary import Reason, Verdict
from streams.stepping import Fate, Journey

Final = tuple[Fate, Sequence[bytes]]
"""A fate, and the encoded results if its verdict is `result`."""


def finals(journey: Journey, now_ms: int) -> Iterator[Final]:
    """The fates of a journey, each of one verdict and, where its rows must wait, for one partition."""
    for fate in journey.fates:
        if not len(fate.batch):
            continue
        match fate.verdict:
            case Verdict.RESULT:
                yield from _results(journey.flow, fate)
            case Verdict.RETRY:
                yield from ((final, ()) for final in _retries(journey.flow, fate, now_ms))
            case Verdict.REVIEW:
                yield from ((fate.part(rows), ()) for rows in _by_partition(fate.batch).values())
            case _:
                yield fate, ()


def _results(flow: Flow, fate: Fate) -> Iterator[Final]:
    """Encode; where a row doesn't fit, halve until it is alone."""
    try:
        yield fate, flow.result.encode(fate.batch.columns)
    except ValueError as misfit:
        rows = np.arange(len(fate.batch))
        if len(rows) == 1:
            yield (
                fate.part(
                    rows,
                    verdict=Verdict.DEAD_LETTER,
                    reason=Reason.ENCODE_FAILED,
                    sentence=f"The row does not fit the result's schema: {misfit}",
                ),
                (),
            )
            return
        for half in np.array_split(rows, 2):
            yield from _results(flow, fate.part(half))


def _retries(flow: Flow, fate: Fate, now_ms: int) -> Iterator[Fate]:
    """Rows that may wait once more, by partition and attempt; the others are dead letters."""
    for rows in _by_partition(fate.batch).values():
        alike: dict[tuple[Reason, int], list[int]] = defaultdict(list)
        for row in rows.tolist():
            trip = fate.batch.intake.trip(int(fate.batch.origin[row]))
            alike[retry_reason(flow, trip, now_ms), trip.attempt].append(row)
        for (reason, _), group in alike.items():
            part = fate.part(np.array(group, np.int64))
            if reason is Reason.NONE:
                yield part
            else:
                yield replace(
                    part, verdict=Verdict.DEAD_LETTER, reason=reason, sentence=f"{_USED_UP[reason]}; last: {part.why(0)}", sentences=None
                )


_USED_UP = {Reason.DEADLINE: "limits.deadline passes before the next retry", Reason.RETRIES_EXHAUSTED: "no retry is left"}


def retry_reason(flow: Flow, trip: Trip, now_ms: int) -> Reason:
    """Why a row may not be tried again; NONE if it may."""
    delays = flow.limits.retries_s
    if trip.attempt >= len(delays):
        return Reason.RETRIES_EXHAUSTED
    late = now_ms + delays[trip.attempt] * 1000 > trip.first_consumed_ms + flow.limits.deadline_s * 1000
    return Reason.DEADLINE if late else Reason.NONE


def _by_partition(batch: Batch) -> dict[int, Rows]:
    """Rows by the partition of their root position, to which their waiting records go."""
    partitions = np.array([batch.intake.trip(int(row)).root.partition for row in batch.origin])
    return {int(partition): np.flatnonzero(partitions == partition) for partition in np.unique(partitions)}
