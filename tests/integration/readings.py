"""A small flow of readings in a project of its own, run by the real command on the real stack, and a checker that trusts none of Weft."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import fastavro
import orjson
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from ops.run.watching import ask
from streams.slot import Slot
from tests.stack import TestStack

PARTITIONS = 4
FIELDS = [{"name": "id", "type": "string"}, {"name": "n", "type": "int"}]
SCHEMA: Any = fastavro.parse_schema({"type": "record", "name": "test.Reading", "fields": FIELDS})
MARKER = b"\xc3\x01" + bytes.fromhex(fastavro.schema.fingerprint(fastavro.schema.to_parsing_canonical_form(SCHEMA), "CRC-64-AVRO"))
FLOW = """\
flow: {name}
version: {version}
input: {{topic: in-{name}, schema: test.Reading, encoding: avro-single-object, id: id}}
steps:
  - filter: {{when: "n % 10 == {out}", reason: tenth}}
result: {{topic: out-{name}, schema: test.Kept}}
"""


def reading(n: int) -> bytes:
    """Avro by hand: a string and a zigzag varint."""
    text = f"r{n}".encode()
    return MARKER + _varint(len(text)) + text + _varint(n)


def _varint(n: int) -> bytes:
    n, out = n << 1, bytearray()
    while n > 0x7F:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    return bytes([*out, n])


@dataclass
class Readings:
    """A flow with a random name. Every 50th event is broken; of the others every tenth is filtered."""

    stack: TestStack
    folder: Path
    name: str = field(default_factory=lambda: f"readings-{uuid4().hex[:8]}")
    sent: int = 0

    def __post_init__(self) -> None:
        for kind in ("flows", "schemas"):
            (self.folder / kind).mkdir(parents=True, exist_ok=True)
        for schema in ("test.Reading", "test.Kept"):
            value = {"type": "record", "namespace": "test", "name": schema.removeprefix("test."), "fields": FIELDS}
            (self.folder / "schemas" / f"{schema}.avsc").write_bytes(orjson.dumps(value))
        self.write("1.0.0", 0)

    @property
    def environment(self) -> dict[str, str]:
        """Where the commands find everything."""
        places = {"WEFT_PROJECT": str(self.folder), "WEFT_DATA": str(self.folder / "data")}
        return {**os.environ, **places, "WEFT_BOOTSTRAP": self.stack.bootstrap, "WEFT_REDIS": self.stack.redis_url}

    def write(self, version: str, out: int) -> None:
        """The flow's file."""
        (self.folder / "flows" / f"{self.name}.yaml").write_text(FLOW.format(name=self.name, version=version, out=out))

    def weft(self, *arguments: str, code: int = 0) -> str:
        """Run a command to its end; what it printed."""
        argv = [sys.executable, "-m", "ops.cli.main", *arguments]
        ran = subprocess.run(argv, check=False, env=self.environment, capture_output=True, text=True, timeout=90)
        assert ran.returncode == code, ran.stdout + ran.stderr + self.log()
        return ran.stdout + ran.stderr

    @contextlib.contextmanager
    def running(self, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
        """`weft run`, ended behind the test."""
        argv = [sys.executable, "-m", "ops.cli.main", "run", self.name, *arguments]
        with (self.folder / "run.log").open("ab") as log:
            process = subprocess.Popen(argv, env=self.environment, stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(20)
            process.kill()

    def log(self) -> str:
        """What the supervisor and the workers said."""
        files = [self.folder / "run.log", *sorted(self.folder.glob("data/run/*/*/worker.log"))]
        return "\n".join(file.read_text()[-4000:] for file in files if file.exists())

    def send(self, count: int) -> None:
        """More events, as a producer that knows nothing of Weft."""
        producer = Producer({"bootstrap.servers": self.stack.bootstrap, "linger.ms": 5})
        for n in range(self.sent, self.sent + count):
            producer.produce(f"in-{self.name}", reading(n) if n % 50 else b"broken", str(n).encode())
            if n % 5000 == 0:
                producer.poll(0)
        assert producer.flush(30) == 0
        self.sent += count

    def status(self, slot: int = 0) -> Mapping[str, Any]:
        """What a worker says of itself; empty if none answers."""
        return ask(Slot(self.name, slot, 1, self.folder / "data")) or {}

    def until(self, condition: Callable[[], object], seconds: float = 30.0) -> None:
        """Wait for it."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"it did not come true within {seconds} s\n{self.status()}\n{self.log()}"
            time.sleep(0.02)

    def outcomes(self) -> Counter[str]:
        """How often each input position has an outcome record, by position, as a `read_committed` reader sees it."""
        found: Counter[str] = Counter()
        for topic in (f"out-{self.name}", f"{self.name}.dead-letters"):
            for _, headers in self.records(topic):
                found[headers["ce_weftposition"].decode()] += 1
        return found

    def records(self, topic: str) -> Iterator[tuple[bytes | None, Mapping[str, bytes]]]:
        """Values and headers of all committed records."""
        consumer = _reader(self.stack)
        for partition in range(PARTITIONS):
            for message in _read(consumer, topic, partition):
                yield message.value(), dict(message.headers() or [])
        consumer.close()

    def filtered(self, out: int = 0) -> set[str]:
        """The positions that must have no record, from the input itself."""
        gone = {reading(n) for n in range(self.sent) if n % 50 and n % 10 == out}
        consumer, found = _reader(self.stack), set()
        for partition in range(PARTITIONS):
            for message in _read(consumer, f"in-{self.name}", partition):
                if message.value() in gone:
                    found.add(f"{message.topic()}/{partition}/{message.offset()}")
        consumer.close()
        return found

    def groups(self) -> list[str]:
        """Consumer groups of this flow's control planes."""
        listed = AdminClient({"bootstrap.servers": self.stack.bootstrap}).list_consumer_groups().result().valid
        return [group.group_id for group in listed if self.name in group.group_id and group.group_id != self.name]


def _reader(stack: TestStack) -> Consumer:
    conf = {"bootstrap.servers": stack.bootstrap, "group.id": uuid4().hex, "isolation.level": "read_committed", "enable.auto.commit": False}
    return Consumer({**conf, "auto.offset.reset": "earliest"})


def _read(consumer: Consumer, topic: str, partition: int) -> Sequence[Any]:
    """Everything up to the end as of now, whatever the offsets that markers take."""
    _, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=10)
    consumer.assign([TopicPartition(topic, partition, 0)])
    found: list[Any] = []
    while high and consumer.position([TopicPartition(topic, partition)])[0].offset < high:  # where nothing is, there is no position
        found += [message for message in consumer.consume(5000, 0.2) if message.error() is None]
    return found
