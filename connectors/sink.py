"""A sink: hands a flow's results to another system, each once. All that a sink plugin imports; docs/plugins.md says how to write one."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import orjson
from pydantic import BaseModel, ConfigDict


@dataclass(frozen=True, slots=True)
class Message:
    """One result on its way out."""

    key: str  # idempotency key: the same for an event and flow, whatever is replayed or done again
    event: str  # the event id
    position: str  # of the event: topic/partition/offset
    flow: str  # name@version
    value: Mapping[str, Any]  # the result's fields

    def json(self) -> str:
        """The value as JSON; times as ISO 8601."""
        return orjson.dumps(dict(self.value), default=str).decode()


class SinkSpec(BaseModel):
    """What stands under a sink's word in a sink file; a plugin's `Spec` adds its words."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Sink(Protocol):
    """A connection to another system. Whoever runs it asks first what was sent, so nothing is sent twice.

    A plugin's module has a `Spec` and a class `Sink`, which is called with the spec and the project's folder. Any call may raise an
    UnreachableError: it is made again. Any other error ends the run; what was not sent is sent by the next.
    """

    async def sent(self, keys: Sequence[str]) -> Collection[str]:
        """Those of the keys whose messages have arrived, in this run or any before."""

    async def send(self, messages: Sequence[Message]) -> None:
        """Send them, in order. If it raises, some may have arrived: `sent` then knows those."""

    async def close(self) -> None:
        """Let go of what is held."""


@dataclass(frozen=True, slots=True)
class Example:
    """What `weft plugin test` tries a sink with, in an empty folder of its own."""

    told: Mapping[str, Any]  # what stands under the sink's word in a sink file
