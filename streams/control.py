"""The control records that every worker hears: which flow is paused, which version is applied, who alerts.

They stand on one compacted topic of one partition, by key; a flow's versions are there as bundles (processors/flow/bundle.py).
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Annotated, Literal, TypeAlias

import pydantic

from connectors.log import Outgoing, Publisher, Reader
from processors.flow.bundle import CONTROL_TOPIC, Applied
from processors.step import Signal
from schemas.errors import FailedError
from schemas.positions import Source

CATCH_UP_S = 5.0


class _Record(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="ignore", frozen=True)  # a newer worker may say more


class FlowPaused(_Record):
    """Whether a flow is paused, who said so and why. Key: `pause/<flow>`."""

    kind: Literal["paused"] = "paused"
    flow: str
    paused: bool
    who: str
    why: str
    at_ms: int

    @property
    def key(self) -> str:
        """Its place on the topic."""
        return f"pause/{self.flow}"


class Weights(_Record):
    """How a model's calls are shared between its versions. Key: `route/<model>`."""

    kind: Literal["weights"] = "weights"
    model: str
    weights: dict[str, float]  # by version
    who: str
    at_ms: int

    @property
    def key(self) -> str:
        """Its place on the topic."""
        return f"route/{self.model}"


class Alert(_Record):
    """The last alert of its kind and place. Key: `alert/<flow>/<step>/<column>/<topic>/<partition>`."""

    kind: Literal["alert"] = "alert"
    flow: str
    step: str
    what: str  # e.g. "drift"
    column: str
    topic: str
    partition: int  # -1: all of the topic
    sentence: str
    figures: dict[str, float]
    at_ms: int

    @property
    def key(self) -> str:
        """Its place on the topic."""
        return f"alert/{self.flow}/{self.step}/{self.column}/{self.topic}/{self.partition}"

    @classmethod
    def of(cls, flow: str, signal: Signal, at_ms: int) -> "Alert":
        """What a step signalled, as a record."""
        return cls(
            flow=flow,
            step=signal.step,
            what=signal.kind,
            column=signal.column,
            topic=signal.source.topic,
            partition=signal.source.partition,
            sentence=signal.sentence,
            figures=dict(signal.figures),
            at_ms=at_ms,
        )


class BreakerState(_Record):
    """What a worker's breaker last did. Key: `breaker/<model>/<worker>`."""

    kind: Literal["breaker"] = "breaker"
    model: str  # name@version
    worker: str
    circuit: str  # closed, open or half-open
    at_ms: int

    @property
    def key(self) -> str:
        """Its place on the topic."""
        return f"breaker/{self.model}/{self.worker}"


Record: TypeAlias = FlowPaused | Weights | Alert | BreakerState
_RECORD: pydantic.TypeAdapter[Record] = pydantic.TypeAdapter(Annotated[Record, pydantic.Field(discriminator="kind")])


class Control:
    """What the control topic says now. Fed by whoever reads it, from its start; what was heard before is not heard again."""

    def __init__(self) -> None:
        self.records: dict[str, Record] = {}
        self.applied = Applied()
        self.unreadable = 0
        self.changed: Callable[[], None] = lambda: None  # called after each record
        self._next: dict[int, int] = {}  # offset, by partition

    def hear(self, partition: int, offset: int, key: bytes | None, value: bytes | None) -> None:
        """One record of the topic. One that can't be read is counted and left."""
        if offset < self._next.get(partition, 0):
            return
        self._next[partition] = offset + 1
        name = (key or b"").decode("utf-8", "replace")
        if name.startswith("flow/"):
            self.applied.read([(key, value)])
        elif value is None:
            self.records.pop(name, None)
        else:
            try:
                self.records[name] = _RECORD.validate_json(value)
            except pydantic.ValidationError:
                self.unreadable += 1
        self.changed()

    def paused(self, flow: str) -> FlowPaused | None:
        """The pause of a flow, if it stands."""
        match self.records.get(f"pause/{flow}"):
            case FlowPaused(paused=True) as record:
                return record
        return None

    def alerts(self, flow: str) -> Sequence[Alert]:
        """The flow's alerts, the newest first."""
        found = [record for record in self.records.values() if isinstance(record, Alert) and record.flow == flow]
        return sorted(found, key=lambda alert: -alert.at_ms)


async def catch_up(reader: Reader, control: Control, within_s: float = CATCH_UP_S) -> None:
    """Hear the topic from its start to its end.

    Raises:
        FailedError: it took too long.
        UsageError: there is no such topic.
        UnreachableError: no broker answers.
    """
    try:
        async with asyncio.timeout(within_s):
            for partition in range(await reader.partitions(CONTROL_TOPIC)):
                async for records in reader.read(Source(CONTROL_TOPIC, partition)):
                    for offset, key, value in zip(records.offsets, records.keys, records.values, strict=True):
                        control.hear(partition, int(offset), key, value)
    except TimeoutError as error:
        raise FailedError(
            f"the control topic {CONTROL_TOPIC} could not be read to its end within {within_s:g} s",
            "look at the broker's health: a worker does not start before it knows which flows are paused",
        ) from error


async def say(publisher: Publisher, records: Sequence[Record]) -> None:
    """Put records on the control topic, and wait until they are there."""
    keys = [record.key.encode() for record in records]
    await publisher.publish(Outgoing(CONTROL_TOPIC, keys, [record.model_dump_json().encode() for record in records], partition=0))
