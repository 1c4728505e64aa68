"""Rows of retry topics that are not due: their partition sleeps at the first of them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from connectors.log import Fetched, Records
from processors.flow.compiled import Flow
from schemas import pending
from schemas.positions import Source
from streams.returned import SKEW_MS


class Sleeper(NamedTuple):
    """Where a retry partition goes on, and when (ms since 1970)."""

    offset: int
    due_ms: int


def due_records(
    flows: Sequence[Flow], fetched: Fetched, asleep: Mapping[Source, int], now_ms: int
) -> tuple[Fetched, Mapping[Source, Sleeper]]:
    """What may be worked on now, and the partitions that must sleep. Rows of one retry topic wait equally long: they fall due in order.

    A retry topic of none of these flows' versions has only rows that can't go on: they are worked on at once, and end.
    """
    pairs = [pair for flow in flows for pair in zip(flow.topics.retries, flow.limits.retries_s, strict=False)]
    delays = {topic: int(delay_s * 1000) for topic, delay_s in pairs}
    due, sleepers = [], {}
    for records in fetched.records:
        at = _first_not_due(records, now_ms, delays[records.source.topic]) if records.source.topic in delays else None
        if asleep.get(records.source, 0) > now_ms and len(records):
            at = 0, asleep[records.source]
        if at is None:
            due.append(records)
            continue
        row, due_ms = at
        sleepers[records.source] = Sleeper(int(records.offsets[row]), due_ms)
        due.append(head_of(records, row))
    return replace(fetched, records=due), sleepers


def _first_not_due(records: Records, now_ms: int, delay_ms: int) -> tuple[int, int] | None:
    """The first row to wait for. One that says it waits longer than its topic's delay is forged, and must not hold up those behind it."""
    for row, value in enumerate(records.values):
        try:
            due_ms = pending.decode(value or b"").due_ms
        except ValueError:
            continue
        if now_ms < due_ms <= now_ms + delay_ms + SKEW_MS:
            return row, due_ms
    return None


def head_of(records: Records, rows: int) -> Records:
    """The first rows only."""
    headers = None if records.headers is None else records.headers[:rows]
    return Records(
        records.source, records.offsets[:rows], records.timestamps_ms[:rows], records.keys[:rows], records.values[:rows], headers
    )
