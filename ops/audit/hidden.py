"""Transactions that stand open: what is behind one can't be read yet, whoever wrote it, and its absence is no finding."""

from collections.abc import Collection, Sequence
from typing import Final

from connectors.log import Ends, Reader
from schemas.positions import Source
from streams.clock import Clock

PAUSE_S: Final = 1.0  # markers of one transaction reach its partitions within this
OPEN_S: Final = 25.0  # a worker's transaction times out after 10 s, and brokers look every 10 s: one that is open for longer hangs


async def hidden(reader: Reader, topics: Collection[str], clock: Clock) -> frozenset[Source]:
    """Wait until every transaction that stands open in these topics now has ended. The partitions where one has not in time."""
    open_below = {source: end.high for source, end in (await _ends(reader, sorted(topics))).items() if end.stable < end.high}
    for _ in range(int(OPEN_S / PAUSE_S)):
        if not open_below:
            break
        await clock.sleep(PAUSE_S)
        ends = await _ends(reader, sorted({source.topic for source in open_below}))
        open_below = {source: high for source, high in open_below.items() if ends[source].stable < high}
    return frozenset(open_below)


async def _ends(reader: Reader, topics: Sequence[str]) -> dict[Source, Ends]:
    return {source: end for topic in topics for source, end in (await reader.ends(topic)).items()}
