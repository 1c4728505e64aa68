"""Two processes around what is measured: one sends events when they are due, the other notes when their results are there.

Both are as cheap as they can be, for they share the machine with what is measured: events are encoded before the first one is due, and
headers of results are read when the load is over.
"""

import argparse
import gc
import signal
import time
from pathlib import Path
from typing import Any, Final

import numpy as np
from confluent_kafka import OFFSET_BEGINNING, Consumer, Message, Producer, TopicPartition

from ops.bench.latencies import Arrived, Sent, due_by
from ops.examples import flights
from schemas import headers as names
from schemas.contracts import built_in

ENCODING: Final = "avro-single-object"
TICK_S = 0.001  # events that are due within it are sent together
SOON_S = 0.5
POLL_S = 0.2
MOST = 10_000  # messages in one call
PATIENCE_S = 20.0


def send(asked: argparse.Namespace) -> None:
    """Send the year's departures from `--skip` on at `--rate` for `--seconds`, each when it is due, whatever becomes of those before."""
    count = round(asked.rate * asked.seconds)
    events = _events(asked.skip, count)
    firsts = _ends(asked.bootstrap, asked.topic)
    producer = Producer({"bootstrap.servers": asked.bootstrap, "linger.ms": 0, "compression.type": "lz4", "enable.idempotence": True})
    producer.list_topics(asked.topic, timeout=PATIENCE_S)  # connected before the first one is due
    _settle_memory()
    late_s, sent, start_s = np.empty(count), 0, time.monotonic() + SOON_S
    while sent < count:
        due = min(count, due_by(time.monotonic() - start_s, asked.rate))
        for row in range(sent, due):
            key, value, headers = events[row]
            producer.produce(asked.topic, value, key, row % len(firsts), headers=headers)
        late_s[sent:due] = time.monotonic() - start_s
        sent = due
        producer.poll(0)
        time.sleep(max(TICK_S, start_s + sent / asked.rate - time.monotonic()) if sent < count else 0.0)
    if producer.flush(PATIENCE_S) or _ends(asked.bootstrap, asked.topic).sum() != firsts.sum() + count:
        raise SystemExit(f"not all of the {count} events have landed")
    Sent(start_s, asked.rate, firsts, late_s - np.arange(count) / asked.rate).save(asked.out)


def _events(skip: int, count: int) -> list[tuple[Any, Any, Any]]:
    """(key, value, headers) of each; the year begins again behind its end."""
    rows = flights.departures()
    rows = rows.take((np.arange(skip, skip + count) % len(rows)).tolist())
    outgoing = flights.events(rows, built_in()[flights.CONTRACT], ENCODING, "")
    return [event for chunk in outgoing for event in zip(chunk.keys, chunk.values, chunk.headers or (), strict=True)]


def _ends(bootstrap: str, topic: str) -> Any:
    """(p,) the offset of the next record of each partition."""
    consumer: Any = Consumer({"bootstrap.servers": bootstrap, "group.id": "unused"})
    partitions = sorted(consumer.list_topics(topic, timeout=PATIENCE_S).topics[topic].partitions)
    found = [consumer.get_watermark_offsets(TopicPartition(topic, one), timeout=PATIENCE_S)[1] for one in partitions]
    consumer.close()
    return np.array(found, np.int64)


def observe(asked: argparse.Namespace) -> None:
    """Read the result topic from its beginning, as a reader of committed records does, until told to end."""
    consumer = Consumer(
        {
            "bootstrap.servers": asked.bootstrap,
            "group.id": "unused",
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "queued.max.messages.kbytes": 1_048_576,
        }
    )
    partitions = consumer.list_topics(asked.topic, timeout=PATIENCE_S).topics[asked.topic].partitions
    consumer.assign([TopicPartition(asked.topic, one, OFFSET_BEGINNING) for one in partitions])
    told: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: told.append(number))
    _settle_memory()
    found: list[tuple[float, list[Message]]] = []
    while not told:
        for messages in (consumer.consume(1, POLL_S), consumer.consume(MOST, 0)):  # asked for many, it would wait until there are so many
            if messages:
                found.append((time.monotonic(), messages))
    consumer.close()
    results = [(message, at_s) for at_s, messages in found for message in messages if message.error() is None]
    Arrived.of([_position(message) for message, _ in results], [at_s for _, at_s in results]).save(asked.out)


def _position(result: Any) -> str:
    """Of the event that it is of."""
    found: bytes = dict(result.headers())[names.CE_POSITION]
    return found.decode()


def _settle_memory() -> None:
    """What is collected in the middle of a load would look like a latency of others."""
    gc.collect()
    gc.disable()


def main() -> None:
    """Either process."""
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("send", "observe"))
    for name in ("--bootstrap", "--topic"):
        parser.add_argument(name, required=True)
    parser.add_argument("--out", type=Path, required=True, help="a file ending in .npz")
    parser.add_argument("--rate", type=float, default=100.0, help="events/s")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--skip", type=int, default=0, help="events of the year")
    asked = parser.parse_args()
    (send if asked.what == "send" else observe)(asked)


if __name__ == "__main__":
    main()
