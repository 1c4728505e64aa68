"""Retries in place (order: key): a batch is cut at the first row of each partition that must wait, and that partition stops there."""

from collections.abc import Mapping

from processors.flow.compiled import Flow
from schemas.positions import Source
from schemas.vocabulary import Reason, Verdict
from streams.final import retry_reason
from streams.ledger.mark import Waiting
from streams.sleepers import head_of
from streams.work import Span, Work


def waiting_rows(flow: Flow, work: Work, now_ms: int) -> Mapping[Source, Waiting]:
    """For each input partition the first row that must be tried again, and when."""
    found: dict[Source, Waiting] = {}
    for journey in work.journeys:
        for fate in journey.fates:
            if fate.verdict is not Verdict.RETRY:
                continue
            for row in fate.batch.origin.tolist():
                source = journey.intake.sources[journey.intake.source[row]]
                offset = int(journey.intake.offset[row])
                if source.topic != flow.topics.input or (source in found and found[source].offset <= offset):
                    continue
                trip = journey.intake.trip(row)
                if retry_reason(flow, trip, now_ms) is Reason.NONE:
                    due_ms = now_ms + int(flow.limits.retries_s[trip.attempt] * 1000)
                    found[source] = Waiting(offset, trip.attempt + 1, trip.first_consumed_ms, due_ms)
    return found


def cut(work: Work, waits: Mapping[Source, Waiting]) -> None:
    """Take the waiting rows, and those of their partitions behind them, out of the work."""
    work.waiting.update(waits)
    for source, waiting in waits.items():
        work.spans[source] = Span(work.spans[source].first, waiting.offset)
    work.records = [
        head_of(records, int((records.offsets < waits[records.source].offset).sum())) if records.source in waits else records
        for records in work.records
    ]
