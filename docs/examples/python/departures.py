"""Sends departures to the flow `departure-delays`, as a system does that knows nothing of Weft: Avro, and the headers of a CloudEvent.

python departures.py BOOTSTRAP TOPIC flights.Departure.avsc < departures.ndjson
"""

import io
import json
import sys
from datetime import datetime

import fastavro
from confluent_kafka import KafkaError, Message, Producer


class SingleObject:
    """Avro's single-object encoding: C3 01, the schema's CRC-64-AVRO fingerprint, the datum."""

    def __init__(self, schema: dict) -> None:
        self.schema = fastavro.parse_schema(schema)
        canonical = fastavro.schema.to_parsing_canonical_form(self.schema)
        self.head = b"\xc3\x01" + bytes.fromhex(fastavro.schema.fingerprint(canonical, "CRC-64-AVRO"))

    def encode(self, datum: dict) -> bytes:
        """One value."""
        out = io.BytesIO(self.head)
        out.seek(0, io.SEEK_END)
        fastavro.schemaless_writer(out, self.schema, datum)
        return out.getvalue()


def delivered(error: KafkaError | None, message: Message) -> None:
    """Ask about each: what the broker did not take is no event."""
    if error is not None:
        raise SystemExit(f"{message.key()}: {error.str()}")


def main(bootstrap: str, topic: str, schema_file: str) -> None:
    """Send every line."""
    with open(schema_file) as file:
        codec = SingleObject(json.load(file))
    producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True})
    sent = 0
    for line in sys.stdin:
        event = json.loads(line)
        for name in ("scheduled_at", "departed_at"):
            if event.get(name):
                event[name] = datetime.fromisoformat(event[name])
        headers = {
            "ce_specversion": "1.0",
            "ce_type": "flights.Departure",
            "ce_source": "/gates/ewr",
            "ce_id": event["flight_id"],
            "ce_time": event["scheduled_at"].isoformat(),
            "content-type": "application/avro",
        }
        key = event.get("tailnum") or event["flight_id"]  # decides the partition: an aeroplane's flights stay in order
        producer.produce(topic, codec.encode(event), key, headers=headers, on_delivery=delivered)
        producer.poll(0)
        sent += 1
    if left := producer.flush(30):
        raise SystemExit(f"{left} departures were not taken")
    print(f"{sent} departures are on {topic}")


if __name__ == "__main__":
    main(*sys.argv[1:])
