"""Reads a flow's results: the newest, all from a place on, or those still to come."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

from ops.daily.desk import Desk
from ops.daily.rows import Row, by_time, newest, rows
from ops.daily.shown import decoded, headers
from schemas.errors import UsageError
from schemas.headers import CE_CAUSATION, CE_FLOW, CE_ID, CE_POSITION, CE_TIME, WEFT_PREFIX
from schemas.positions import Position, Source

POLL_S = 0.3
START, END = "start", "end"


async def read(desk: Desk, begin: str, limit: int | None, follow: bool) -> AsyncIterator[Row]:
    """Results from `begin` on: `start`, `end`, a position of the result topic; empty for the newest `limit`.

    Raises:
        UsageError: `begin` is none of these.
    """
    topic, left = desk.flow.topics.result, limit
    sources = [Source(topic, partition) for partition in range(await desk.reader.partitions(topic))]
    next_ = await _begin(desk, sources, begin)
    if not begin:
        count = 20 if limit is None else limit
        found = by_time([row for source in sources for row in await newest(desk.reader, source, count)])
        for row in found[max(0, len(found) - count) :]:
            yield row
        left = None
    while begin or follow:
        for row in await _more(desk, next_):
            if left is not None:
                left -= 1
                if left < 0:
                    return
            yield row
        if not follow or left == 0:
            return
        await asyncio.sleep(POLL_S)


async def _begin(desk: Desk, sources: list[Source], begin: str) -> dict[Source, int]:
    """The offset to begin at, by partition."""
    if begin in ("", END):
        return {source: (await desk.reader.extent(source)).high for source in sources}
    if begin == START:
        return dict.fromkeys(sources, 0)
    try:
        position = Position.parse(begin)
    except ValueError:
        position = None
    if position is None or position.source not in sources:
        raise UsageError(f"{begin} is no place in {desk.flow.topics.result}", "Give start, end, or a position as topic/partition/offset.")
    return {position.source: position.offset}


async def _more(desk: Desk, next_: dict[Source, int]) -> list[Row]:
    """What came since, in the order of writing."""
    found: list[Row] = []
    for source in next_:
        async for records in desk.reader.read(source, next_[source]):
            found += rows(records)
            next_[source] = int(records.offsets[-1]) + 1
    return by_time(found)


def as_json(desk: Desk, row: Row) -> Mapping[str, Any]:
    """One result as plain values: what was decided, about which event, by which flow and model."""
    value, wrong = decoded(desk.read_result, row.value)
    told = headers(row.headers)
    weft = {name.removeprefix(WEFT_PREFIX): text for name, text in told.items() if name.startswith(WEFT_PREFIX)}
    return {
        "at": str(row.position),
        "written_ms": row.timestamp_ms,
        "event": told.get(CE_CAUSATION, ""),
        "position": told.get(CE_POSITION, ""),
        "flow": told.get(CE_FLOW, ""),
        "id": told.get(CE_ID, ""),
        "time": told.get(CE_TIME, ""),
        "key": weft.get("key", ""),
        "model": (value or {}).get("model"),
        "degraded": (value or {}).get("degraded"),
        "value": value,
    } | ({"unreadable": wrong} if wrong else {})
