"""Runs a sink: reads a flow's results in order, sends those that have not arrived yet, and only then moves on.

What a sink has done is its own to know, by the idempotency key; the committed offsets only say where to begin. So a run that is killed
between sending and committing sends nothing twice, and none of the results is passed over.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from connectors.log import Reader
from connectors.sink import Message, Sink
from ops.daily.rows import Row, rows
from processors.plugins.found import told
from schemas.errors import FailedError, UnreachableError, WeftError
from schemas.positions import Source

BATCH = 500
POLL_S = 0.5
WAITS_S = (0.5, 1.0, 2.0, 5.0, 15.0)

Say = Callable[[str], None]


class Progress(Protocol):
    """Where a sink has got to, kept outside of this process."""

    async def load(self) -> Mapping[Source, int]:
        """The next offset of each partition."""

    async def save(self, next_: Mapping[Source, int]) -> None:
        """Keep these."""


@dataclass(slots=True)
class Tally:
    """What a run did."""

    sent: int = 0
    known: int = 0  # had arrived before
    aside: int = 0  # are none of the flow's


@dataclass(frozen=True, slots=True)
class Outlet:
    """What a run works with."""

    reader: Reader
    topic: str
    flow: str
    read: Callable[[Row], Mapping[str, Any]]  # as `weft results` shows a row
    sink: Sink
    progress: Progress
    say: Say
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


async def run(outlet: Outlet, until_idle: bool, tally: Tally) -> None:
    """Send everything there is, and, unless `until_idle`, everything to come.

    Raises:
        FailedError: the sink fails, or a result can't be read.
    """
    next_ = dict.fromkeys((Source(outlet.topic, at) for at in range(await outlet.reader.partitions(outlet.topic))), 0)
    next_ |= {source: offset for source, offset in (await outlet.progress.load()).items() if source in next_}
    while True:
        for source in next_:
            async for records in outlet.reader.read(source, next_[source]):
                found = list(rows(records))
                for start in range(0, len(found), BATCH):
                    part = found[start : start + BATCH]
                    await _send(outlet, part, tally)
                    next_[source] = part[-1].position.offset + 1
                    await outlet.progress.save({source: next_[source]})
        if until_idle:
            return
        await outlet.sleep(POLL_S)


async def _send(outlet: Outlet, part: Sequence[Row], tally: Tally) -> None:
    """Send what has not arrived. A sink that is away is asked again, first what has arrived after all."""
    found = [message for row in part if (message := _message(outlet, row)) is not None]
    messages = {message.key: message for message in reversed(found)}  # of two with one key the first, as over two batches
    messages = {message.key: messages[message.key] for message in found}  # in order
    for attempt in range(1_000_000):
        try:
            known = set(await outlet.sink.sent(list(messages))) if messages else set()
            left = [message for key, message in messages.items() if key not in known]
            if left:
                await outlet.sink.send(left)
        except UnreachableError as error:
            wait_s = WAITS_S[min(attempt, len(WAITS_S) - 1)]
            outlet.say(f"{error.sentence}; tried again in {wait_s:g} s")
            await outlet.sleep(wait_s)
        except WeftError:
            raise
        except Exception as error:  # whatever the plugin's code does
            raise FailedError(
                f"the sink failed at {part[0].position}: {told(error)}", "Nothing is lost: the next run begins there."
            ) from error
        else:
            tally.sent += len(left)
            tally.known += len(found) - len(left)
            tally.aside += len(part) - len(found)
            return


def _message(outlet: Outlet, row: Row) -> Message | None:
    """What is sent; None, and said, if it is none of the flow's results."""
    shown = outlet.read(row)
    if not shown["key"] or shown["flow"].partition("@")[0] != outlet.flow:
        why = "it has no idempotency key" if not shown["key"] else "it is of another flow"
        outlet.say(f"the record at {row.position} is set aside: {why}, so {outlet.flow} did not write it")
        return None
    if shown["value"] is None:
        raise FailedError(f"the result at {row.position} can't be sent: {shown.get('unreadable', 'it has no value')}")
    return Message(shown["key"], shown["event"], shown["position"], shown["flow"], shown["value"])
