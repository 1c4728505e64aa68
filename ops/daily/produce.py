"""Sends events to a flow's input topic: the example's year, hostile records, or a file."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from connectors.kafka.admin import KafkaAdmin
from connectors.kafka.publisher import KafkaPublisher
from connectors.log import Outgoing, Publisher
from connectors.redis.lookup import RedisLookup
from connectors.redis.settings import RedisSettings
from ops.examples import flights
from ops.examples.hostile import Hostile, hostile
from ops.examples.shelf import SHELF, Example
from ops.flow.csv_file import Unmatched, unmatched
from ops.flow.events import is_csv, read_samples
from ops.stack import services
from processors.flow.check import check
from processors.flow.spec import FlowFile
from schemas.contracts import Contract
from schemas.errors import UsageError
from schemas.positions import Position
from streams.registry import project_of
from streams.settings import Settings

Progress = Callable[[str, int, int], None]
TICK_S = 0.1  # how finely a rate is kept
AT_ONCE = 20_000  # records handed over before an interrupt is looked at


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be sent. A rate is in events a second; 0 is as fast as it goes."""

    limit: int | None = None
    rate: float = 0.0
    hostile: bool = False
    file: Path | None = None
    lookups: bool = True


@dataclass(slots=True)
class Sent:
    """What was sent."""

    flow: str
    topic: str = ""  # known once the flow was read
    events: int = 0
    hostile: list[dict[str, object]] = field(default_factory=list)
    lookups: int = 0
    looked_up: str = ""  # what they are, for a person
    partitions: Counter[int] = field(default_factory=Counter)
    seconds: float = 0.0
    unmatched: Unmatched | None = None  # of a CSV file

    def as_json(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "flow": self.flow,
            "topic": self.topic,
            "events": self.events,
            "hostile": self.hostile,
            "lookups": self.lookups,
            "partitions": dict(sorted(self.partitions.items())),
            "seconds": round(self.seconds, 3),
            "csv": None if self.unmatched is None else self.unmatched.as_json(),
        }


async def produce(settings: Settings, sent: Sent, asked: Asked, progress: Progress) -> None:
    """Load the lookups, then send the events, hostile ones last. `sent` says what is on the topic, also where this was interrupted.

    Raises:
        UsageError: there is nothing to send to this flow, or it is not applied.
        UnreachableError: Kafka or Redis does not answer.
    """
    project = project_of(settings)
    checked = check(project, sent.flow)
    spec = checked.spec or checked.sound()
    sent.topic = spec.input.topic
    contract = project.contracts()[spec.input.contract]
    total, chunks = await asyncio.to_thread(_chunks, spec, contract, asked, progress)  # Arrow's reader would take ctrl-C for itself
    if asked.file is not None and is_csv(asked.file):
        sent.unmatched = unmatched(asked.file, contract)
    kafka = services.kafka(settings)
    if sent.topic not in await KafkaAdmin(kafka).topics():
        raise UsageError(f"the flow {sent.flow} is not applied: there is no topic {sent.topic}", f"run: weft flow apply {sent.flow}")
    example = SHELF.get(spec.input.contract)
    if asked.lookups and example is not None:
        sent.lookups, sent.looked_up = await _load(example, services.redis(settings), progress), example.looked_up
    publisher = KafkaPublisher(kafka)
    began = time.monotonic()
    try:
        await _send(publisher, chunks, asked.rate, sent, lambda done: progress("events", done, total))
        if asked.hostile:
            await _send_hostile(publisher, hostile(contract, spec.limits.value_bytes), sent)
    finally:
        await publisher.close()
        sent.seconds = time.monotonic() - began


def _chunks(spec: FlowFile, contract: Contract, asked: Asked, progress: Progress) -> tuple[int, Iterator[Outgoing]]:
    """How many events, and the events."""
    if asked.hostile and not (spec.input.contract == flights.CONTRACT and spec.input.encoding == "avro-single-object"):
        raise UsageError(f"the hostile records are made for {flights.CONTRACT} as avro-single-object, {spec.flow} reads something else")
    if asked.file is not None:
        samples = read_samples(asked.file, spec, contract)[: asked.limit]
        whole = Outgoing(
            spec.input.topic,
            [sample.key for sample in samples],
            [sample.value for sample in samples],
            [list(sample.headers) for sample in samples],
        )
        return len(samples), iter([whole] if samples else [])
    example = SHELF.get(spec.input.contract)
    if example is None:
        raise UsageError(f"there are no example events for {spec.flow}", "Name a file of JSON lines, or an Avro file, with --from.")
    progress("reading", 0, 1)
    rows = example.rows()[: asked.limit]
    progress("reading", 1, 1)
    return len(rows), example.kind.records(rows, contract, spec.input.encoding, spec.input.topic)


async def _load(example: Example, server: RedisSettings, progress: Progress) -> int:
    entries = list(example.lookups())
    progress("lookups", 0, len(entries))
    redis = RedisLookup(server)
    try:
        count = await redis.load(entries)
    finally:
        await redis.close()
    progress("lookups", count, len(entries))
    return count


async def _send(publisher: Publisher, chunks: Iterator[Outgoing], rate: float, sent: Sent, told: Callable[[int], None]) -> None:
    def landed(positions: Sequence[Position]) -> None:
        sent.partitions.update(position.partition for position in positions)
        sent.events += len(positions)

    began = time.monotonic()
    for chunk in chunks:
        size = max(1, round(rate * TICK_S)) if rate else AT_ONCE
        for start in range(0, len(chunk.values), size):
            if rate:
                await asyncio.sleep(max(0.0, began + sent.events / rate - time.monotonic()))
            await _publish(publisher, _part(chunk, start, size), landed)
            told(sent.events)


async def _publish(publisher: Publisher, outgoing: Outgoing, landed: Callable[[Sequence[Position]], None]) -> None:
    """Hand records over. An interrupt comes through once they have landed and are counted."""
    landing = asyncio.ensure_future(publisher.publish(outgoing))
    try:
        await asyncio.shield(landing)
    finally:
        landed(await landing)


def _part(chunk: Outgoing, start: int, size: int) -> Outgoing:
    if size >= len(chunk.values):
        return chunk
    rows = slice(start, start + size)
    headers = None if chunk.headers is None else chunk.headers[rows]
    return replace(chunk, keys=chunk.keys[rows], values=chunk.values[rows], headers=headers)


async def _send_hostile(publisher: Publisher, records: Sequence[Hostile], sent: Sent) -> None:
    def landed(positions: Sequence[Position]) -> None:
        (position,) = positions
        sent.hostile.append({"label": one.label, "position": str(position), "verdict": one.verdict.value, "reason": one.reason.value})
        sent.partitions[position.partition] += 1

    for one in records:
        await _publish(publisher, Outgoing(sent.topic, [one.key], [one.value], [list(one.headers or [])]), landed)
