"""Records of a topic one by one, and the newest of all its partitions."""

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import NamedTuple

from connectors.log import Headers, Reader, Records
from schemas.positions import Position, Source

_SLACK = 50  # offsets: transaction markers take some


class Row(NamedTuple):
    """One record."""

    position: Position
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers


def rows(records: Records) -> Iterator[Row]:
    """The records one by one."""
    every = records.headers or [()] * len(records)
    columns = zip(records.offsets.tolist(), records.timestamps_ms.tolist(), records.keys, records.values, every, strict=True)
    for offset, stamp, key, value, headers in columns:
        yield Row(Position(*records.source, offset), stamp, key, value, headers or ())


async def every(reader: Reader, topic: str) -> AsyncIterator[Row]:
    """All records of a topic, partition by partition."""
    for partition in range(await reader.partitions(topic)):
        async for records in reader.read(Source(topic, partition)):
            for row in rows(records):
                yield row


async def newest(reader: Reader, source: Source, count: int) -> list[Row]:
    """The last `count` records of a partition, or all if they are fewer."""
    extent, back = await reader.extent(source), 2 * count + _SLACK
    while True:
        start = max(extent.low, extent.high - back)
        found = [row async for records in reader.read(source, start) for row in rows(records)]
        if len(found) >= count or start == extent.low:
            return found[len(found) - count :] if len(found) > count else found
        back *= 4


async def at(reader: Reader, position: Position) -> Row | None:
    """The record at a position, if it is there."""
    records = await reader.at(position)
    return None if records is None else next(rows(records))


def by_time(found: Sequence[Row]) -> list[Row]:
    """In the order of writing."""
    return sorted(found, key=lambda row: (row.timestamp_ms, row.position))
