"""Whether each event of departures has exactly one outcome: told by plain confluent_kafka and fastavro, without anything of Weft."""

import io
import time
import uuid
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fastavro
from confluent_kafka import OFFSET_BEGINNING, Consumer, IsolationLevel, KafkaError, Message, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

AVRO = Path(__file__).parents[2] / "schemas" / "avro"
DEPARTURE, DECISION = (fastavro.schema.load_schema(str(AVRO / f"flights.{name}.avsc")) for name in ("Departure", "DelayDecision"))
FRAME = 10  # bytes of Avro's single-object header
MARKERS_S = 25.0  # until the transaction that a dead worker left is over for readers: it times out after 10 s, brokers look every 10 s


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
    """Read everything and compare. `extra` are positions that need no record."""
    topics = [f"in.{name}", f"out.{name}", *(f"{name}.{suffix}" for suffix in ("dead-letters", "quarantine", "reviews"))]
    read = {topic: everything(bootstrap, topic) for topic in topics}
    inputs = {f"{message.topic()}/{message.partition()}/{message.offset()}": message.value() for message in read.pop(topics[0])}
    outcomes: Counter[str] = Counter()
    where, reasons = {}, {}
    for topic, messages in read.items():
        for message in messages:
            told = {key: value.decode("utf-8", "replace") for key, value in headers(message) if key.startswith("ce_weft") and value}
            position = told["ce_weftposition"]
            outcomes[position] += 1
            where[position], reasons[position] = topic, told.get("ce_weftreason", "")
    silent = extra | {
        position for position, value in inputs.items() if position not in extra and position not in outcomes and leaves_silently(value)
    }
    twice = {position for position, count in outcomes.items() if count > 1 or position not in inputs}
    lost = inputs.keys() - outcomes.keys() - silent
    degraded = sum(decoded(message.value(), DECISION)["degraded"] for message in read[f"out.{name}"])
    return Judged(len(inputs), frozenset(lost), frozenset(twice), where, reasons, degraded)


def everything(bootstrap: str, topic: str, isolation: str = "read_committed") -> list[Message]:
    """All records of a topic, read to its end once no transaction is open in it."""
    own = {"group.id": uuid.uuid4().hex, "isolation.level": isolation, "enable.partition.eof": True, "enable.auto.commit": False}
    consumer = Consumer({"bootstrap.servers": bootstrap, **own})
    try:
        ends = stable_ends(bootstrap, topic)
        consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in ends])
        found: list[Message] = []
        end_s = time.monotonic() + 120
        while ends and time.monotonic() < end_s:
            for message in consumer.consume(5_000, 0.2):
                error, partition = message.error(), message.partition() or 0
                if error is None:
                    found.append(message)
                elif error.code() == KafkaError._PARTITION_EOF and (message.offset() or 0) >= ends.get(partition, 0):
                    ends.pop(partition, None)
        assert not ends, f"{topic} could not be read to its end: {ends} are left"
        return found
    finally:
        consumer.close()


def stable_ends(bootstrap: str, topic: str) -> dict[int, int]:
    """Where each partition of a topic ends, once its last stable offset is its high watermark."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    partitions = admin.list_topics(topic, timeout=10).topics[topic].partitions
    spec: Any = OffsetSpec
    asked = {TopicPartition(topic, partition): spec.latest() for partition in partitions}
    end_s = time.monotonic() + MARKERS_S
    while True:
        stable, high = (
            {place.partition: told.result().offset for place, told in admin.list_offsets(asked, isolation_level=level).items()}
            for level in (IsolationLevel.READ_COMMITTED, IsolationLevel.READ_UNCOMMITTED)
        )
        if stable == high:
            return high
        assert time.monotonic() < end_s, f"a transaction is open in {topic}: {stable} are stable of {high}"
        time.sleep(0.5)


def headers(message: Message) -> list[tuple[str, bytes | None]]:
    found: Any = message.headers()
    return found or []


def leaves_silently(value: bytes | None) -> bool:
    """Whether the flow lets this departure go without a record: cancelled, or a ferry."""
    try:
        departure = decoded(value, DEPARTURE)
    except Exception:  # no departure at all: it must have an outcome
        return False
    return bool(departure["departed_at"] is None or departure["distance"] < 50)


def decoded(value: bytes | None, schema: Any) -> Any:
    return fastavro.schemaless_reader(io.BytesIO((value or b"")[FRAME:]), schema, None)
