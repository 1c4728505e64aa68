"""Waits for the leaf of a record that was sent: what a worker made of it."""

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence

from ops.audit.find import blocks
from ops.daily.desk import Desk
from schemas.positions import Position, Source
from streams.ledger.leaf import Leaf, decode

POLL_S = 0.2
TIMEOUT_S = 30.0


async def ends(desk: Desk, partitions: Iterable[int]) -> Mapping[int, int]:
    """Where the ledger's partitions end now: leaves of what is sent later stand behind."""
    topic = desk.flow.topics.ledger
    return {partition: (await desk.reader.extent(Source(topic, partition))).high for partition in set(partitions)}


async def awaited(desk: Desk, sent: Sequence[Position], since: Mapping[int, int], timeout_s: float = TIMEOUT_S) -> dict[Position, Leaf]:
    """The leaves of these consumed records, as far as they come in time. `since` is where to begin, from `ends`."""
    found: dict[Position, Leaf] = {}
    next_ = dict(since)
    until_s = time.monotonic() + timeout_s
    while True:
        for partition in {position.partition for position in sent if position not in found}:
            async for place, _, block in blocks(desk.reader, Source(desk.flow.topics.ledger, partition), next_[partition]):
                next_[partition] = place.offset + 1
                wanted = {position for position in sent if position.source == block.source and block.first <= position.offset < block.next}
                if wanted:
                    found |= {leaf.position: leaf for leaf in map(decode, block.leaves()) if leaf.position in wanted}
        if len(found) == len(set(sent)) or time.monotonic() >= until_s:
            return found
        await asyncio.sleep(POLL_S)
