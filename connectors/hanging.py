"""Hanging transactions: open in a partition though the broker believes that they ended. A slot that has one must not go on."""

import asyncio
from collections.abc import Sequence

from connectors.log import Log
from schemas.errors import FatalError
from schemas.positions import Position

_PAUSE_S = 0.05
_TOOL = "kafka-transactions.sh --bootstrap-server BROKER"


async def settled(log: Log, topics: Sequence[str], within_s: float) -> None:
    """Wait until every transaction that stands open in these topics now has ended. Only a log that has started may ask.

    A transaction of a worker that lives ends within moments, one of a worker that died when it times out. One whose marker the broker
    lost never does, and the next commit by the same slot would commit it too: its events would have two outcomes.

    Raises:
        FatalError: one has not ended in time.
    """
    loop = asyncio.get_running_loop()
    until_s = loop.time() + within_s
    ends = await log.ends(topics)
    open_below = {source: end.high for source, end in ends.items() if end.stable < end.high}
    while open_below:
        if loop.time() > until_s:
            raise _refusal([Position(*source, ends[source].stable) for source in sorted(open_below)], within_s)
        await asyncio.sleep(_PAUSE_S)
        ends = await log.ends(sorted({source.topic for source in open_below}))
        open_below = {source: high for source, high in open_below.items() if ends[source].stable < high}


def _refusal(places: Sequence[Position], within_s: float) -> FatalError:
    topic, partition, offset = places[0]
    return FatalError(
        f"a transaction at {', '.join(map(str, places))} did not end within {within_s:g} s: the broker lost its end (known of Kafka 4.2 to "
        "4.4, KAFKA-20734), and to go on could give events a second outcome",
        _end(topic, str(partition), str(offset)),
    )


def _end(topic: str, partition: str, offset: str) -> str:
    place = f"--topic {topic} --partition {partition}"
    return (
        f"see whose it is: {_TOOL} describe-producers {place}; end it in each place: {_TOOL} abort {place} --start-offset {offset}; "
        "then start again"
    )


OFFSETS_HINT = (
    f"a transaction may hang on them; find it: {_TOOL} find-hanging --topic __consumer_offsets --max-transaction-timeout 1; "
    + _end("__consumer_offsets", "P", "N")
)
"""What to do where a group's offsets can't be read: the topic that holds them has the hanging transaction."""
