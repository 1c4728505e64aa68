"""Whether each event of departures has exactly one outcome: told by plain confluent_kafka and fastavro, without anything of Weft."""

import io
import time
import uuid
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fastavro
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Message, TopicPartition

AVRO = Path(__file__).parents[2] / "schemas" / "avro"
DEPARTURE, DECISION = (fastavro.schema.load_schema(str(AVRO / f"flights.{name}.avsc")) for name in ("Departure", "DelayDecision"))
FRAME = 10  # bytes of Avro's single-object header
MARKERS_S = 15.0  # until the transaction that a dead worker left is over for readers


@dataclass(frozen=True, slots=True)
class Judged:
    """What was found. Positions are `topic/partition/offset`."""

    events: int
    lost: frozenset[str]
    twice: frozenset[str]
    where: dict[str, str]  # position -> the topic of its outcome
    reasons: dict[str, str]  # of dead letters and quarantine, where given
    degraded: int

    def all_once(self) -> bool:
        """None lost, none twice."""
        return self.events > 0 and not self.lost and not self.twice


def judge(bootstrap: str, name: str, extra: frozenset[str] = frozenset()) -> Judged:
    """Read everything and compare; what seems lost is looked for again. `extra` are positions that need no record."""
    end_s = time.monotonic() + MARKERS_S
    while True:
        found = _judge(bootstrap, name, extra)
        if found.all_once() or time.monotonic() > end_s:
            return found
        time.sleep(0.5)


def _judge(bootstrap: str, name: str, extra: frozenset[str]) -> Judged:
    topics = [f"in.{name}", f"out.{name}", *(f"{name}.{suffix}" for suffix in ("dead-letters", "quarantine", "reviews"))]
    read = {topic: everything(bootstrap, topic) for topic in topics}
    inputs = {f"{message.topic()}/{message.partition()}/{message.offset()}": message.value() for message in read.pop(topics[0])}
    outcomes: Counter[str] = Counter()
    where, reasons = {}, {}
    for topic, messages in read.items():
        for message in messages:
            told = {key: value.decode("utf-8", "replace") for key, value in _headers(message) if key.startswith("ce_weft") and value}
            position = told["ce_weftposition"]
            outcomes[position] += 1
            where[position], reasons[position] = topic, told.get("ce_weftreason", "")
    silent = extra | {
        position for position, value in inputs.items() if position not in extra and position not in outcomes and _leaves(value)
    }
    twice = {position for position, count in outcomes.items() if count > 1 or position not in inputs}
    lost = inputs.keys() - outcomes.keys() - silent
    degraded = sum(_decoded(message.value(), DECISION)["degraded"] for message in read[f"out.{name}"])
    return Judged(len(inputs), frozenset(lost), frozenset(twice), where, reasons, degraded)


def everything(bootstrap: str, topic: str) -> list[Message]:
    """All committed records of a topic."""
    own = {"group.id": uuid.uuid4().hex, "isolation.level": "read_committed", "enable.partition.eof": True, "enable.auto.commit": False}
    consumer = Consumer({"bootstrap.servers": bootstrap, **own})
    try:
        partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
        consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in partitions])
        found: list[Message] = []
        ended: set[int] = set()
        end_s = time.monotonic() + 60
        while len(ended) < len(partitions) and time.monotonic() < end_s:
            for message in consumer.consume(5_000, 0.2):
                error = message.error()
                if error is None:
                    found.append(message)
                elif error.code() == KafkaError._PARTITION_EOF:
                    ended.add(message.partition() or 0)
        assert len(ended) == len(partitions), f"{topic} could not be read to its end"
        return found
    finally:
        consumer.close()


def _headers(message: Message) -> list[tuple[str, bytes | None]]:
    found: Any = message.headers()
    return found or []


def _leaves(value: bytes | None) -> bool:
    """Whether the flow lets this departure go without a record: cancelled, or a ferry."""
    try:
        departure = _decoded(value, DEPARTURE)
    except Exception:  # no departure at all: it must have an outcome
        return False
    return bool(departure["departed_at"] is None or departure["distance"] < 50)


def _decoded(value: bytes | None, schema: Any) -> Any:
    return fastavro.schemaless_reader(io.BytesIO((value or b"")[FRAME:]), schema, None)
