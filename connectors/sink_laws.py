"""The laws of sinks: what has arrived is known, to any connection, and nothing else is. `weft plugin test` tries plugins by them."""

from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple
from uuid import uuid4

from connectors.sink import Message, Sink
from processors.plugins.laws import require

Open = Callable[[], Sink]
"""A new connection, each to the same place."""


class SinkLaw(NamedTuple):
    """One law."""

    name: str
    hold: Callable[[Open], Awaitable[None]]  # raises BrokenLawError, or whatever the sink raises


def messages(count: int) -> list[Message]:
    """Messages that nobody has sent before."""
    keys = [uuid4().hex for _ in range(count)]
    return [Message(key, f"event-{at}", f"t/0/{at}", "f@1.0.0", {"n": at, "word": "über", "none": None}) for at, key in enumerate(keys)]


def _keys(of: Sequence[Message]) -> list[str]:
    return [message.key for message in of]


async def _unknown(open_: Open) -> None:
    sink = open_()
    require(not await sink.sent(_keys(messages(3))), "`sent` names keys that were never sent")
    await sink.close()


async def _known(open_: Open) -> None:
    sink, few, others = open_(), messages(3), messages(2)
    await sink.send(few)
    require(set(await sink.sent(_keys([*few, *others]))) == set(_keys(few)), "`sent` does not name what was sent, and that alone")
    await sink.close()


async def _lasting(open_: Open) -> None:
    few = messages(3)
    first = open_()
    await first.send(few)
    await first.close()
    second = open_()
    require(set(await second.sent(_keys(few))) == set(_keys(few)), "a new connection does not know what the one before has sent")
    await second.close()


async def _added(open_: Open) -> None:
    sink, few, more = open_(), messages(2), messages(2)
    await sink.send(few)
    await sink.send(more)
    require(set(await sink.sent(_keys([*few, *more]))) == set(_keys([*few, *more])), "a second batch makes it forget the first")
    await sink.close()


async def _nothing(open_: Open) -> None:
    sink = open_()
    await sink.send([])
    require(not await sink.sent([]), "asked about nothing, `sent` names something")
    await sink.close()


async def _many(open_: Open) -> None:
    sink, many = open_(), messages(500)
    await sink.send(many)
    require(set(await sink.sent(_keys(many))) == set(_keys(many)), "of 500 messages in one batch not all have arrived")
    await sink.close()


SINK_LAWS: Sequence[SinkLaw] = (
    SinkLaw("what was never sent is not known", _unknown),
    SinkLaw("what was sent is known", _known),
    SinkLaw("a new connection knows it too", _lasting),
    SinkLaw("a batch is added to those before", _added),
    SinkLaw("nothing to send is nothing", _nothing),
    SinkLaw("a full batch arrives", _many),
)
