"""Reads decisions about late arrivals, each once, as a system does that knows nothing of Weft.

python decisions.py BOOTSTRAP TOPIC GROUP flights.DelayDecision.avsc [COUNT]
"""

import io
import json
import sqlite3
import sys

import fastavro
from confluent_kafka import Consumer, KafkaException, Message

HEAD_BYTES = 10  # C3 01 and the fingerprint of the writer's schema


def header(message: Message, name: str) -> str:
    """The header's text."""
    return dict(message.headers() or [])[name].decode()


class Effects:
    """What was done, by idempotency key: the effect and its key are written in one transaction, so it happens once whatever crashes."""

    def __init__(self, path: str) -> None:
        self.database = sqlite3.connect(path)
        self.database.execute("CREATE TABLE IF NOT EXISTS notices (weftkey TEXT PRIMARY KEY, flight TEXT, decision TEXT)")

    def act(self, key: str, flight: str, decision: str) -> bool:
        """Whether it is the first time."""
        with self.database:
            row = (key, flight, decision)
            return self.database.execute("INSERT OR IGNORE INTO notices VALUES (?, ?, ?)", row).rowcount == 1


def main(bootstrap: str, topic: str, group: str, schema_file: str, count: str = "0") -> None:
    """Until `count` different decisions have come; 0 is for ever."""
    with open(schema_file) as file:
        schema = fastavro.parse_schema(json.load(file))
    settings = {
        "bootstrap.servers": bootstrap,
        "group.id": group,
        "isolation.level": "read_committed",  # else one sees what an aborted transaction wrote
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,  # commit behind the effect, not before it
    }
    effects, done = Effects(f"{group}.sqlite"), 0
    consumer = Consumer(settings)
    consumer.subscribe([topic])
    try:
        while not int(count) or done < int(count):
            message = consumer.poll(0.5)
            if message is None:
                continue
            if message.error():
                raise KafkaException(message.error())
            value = fastavro.schemaless_reader(io.BytesIO(message.value()[HEAD_BYTES:]), schema)
            if effects.act(header(message, "ce_weftkey"), value["flight_id"], value["decision"]):
                done += 1
                print(f"{value['flight_id']}: {value['decision']}, score {value['score']:.3f} by {header(message, 'ce_weftflow')}")
            else:
                print(f"again: {value['flight_id']}")
            consumer.commit(message, asynchronous=False)
    finally:
        consumer.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
