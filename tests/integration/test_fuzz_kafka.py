"""50,000 hostile records, 200 of them large, through real Kafka, Redis and a real worker: each ends once, as it must."""

import os
import random
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil
import pytest
from confluent_kafka import KafkaError, Message, Producer

from connectors.memory.partition import Entry
from processors.flow.check import check
from processors.flow.topics import topics_of
from schemas.vocabulary import Reason
from streams.settings import Settings
from streams.slot import Slot
from tests.fuzz.encodings import Target, targets
from tests.fuzz.events import dead
from tests.fuzz.stream import project
from tests.fuzz.thrown import VALUE_BYTES, Thrown, thrower
from tests.fuzz.told import Place, Told, judge
from tests.integration.flow_at_work import PARTITIONS, FlowAtWork
from tests.integration.outcomes_by_hand import everything
from tests.stack import TestStack

pytestmark = [pytest.mark.slow, pytest.mark.long]

RECORDS, LARGE, SEED = 50_000, 200, 1
PEAK_BYTES = 640 << 20  # of the worker, whatever the size of what comes


class Fuzzed(FlowAtWork):
    """The fuzzed flow, in topics of its own."""

    def __init__(self, stack: TestStack, folder: Path, target: Target) -> None:
        self.stack, self.folder, self.name = stack, folder, f"fuzz-{uuid4().hex[:6]}"
        self.input, self.result = f"in.{self.name}", f"out.{self.name}"
        text = (project(folder, target).folder / "flows" / "fuzz.yaml").read_text()  # type: ignore[operator]
        for old, new in {
            "flow: fuzz": f"flow: {self.name}",
            "topic: in,": f"topic: {self.input},",
            "topic: out,": f"topic: {self.result},",
        }.items():
            assert old in text
            text = text.replace(old, new)
        (folder / "flows" / f"{self.name}.yaml").write_text(text)
        self.environment = {**os.environ, "WEFT_PROJECT": str(folder), "WEFT_DATA": str(folder / "data"), "WEFT_BOOTSTRAP": stack.bootstrap,
                            "WEFT_REDIS": stack.redis_url}  # fmt: skip
        self.settings = Settings(project=folder, data=folder / "data", bootstrap=stack.bootstrap, redis=stack.redis_url)
        self.slot = Slot(self.name, 0, 1, folder / "data")
        self.weft("audit", "keys", "--create")
        self.weft("flow", "apply", self.name, "--yes", "--partitions", str(PARTITIONS))


def large(chance: random.Random) -> Thrown:
    """A value over the limit, up to 50 MB that are a few kilobytes when compressed."""
    size = chance.choice((VALUE_BYTES + 1, 200_000, 900_000, 2_000_000, 8_000_000, 50_000_000))
    value = chance.randbytes(size) if size < 1_000_000 and chance.random() < 0.5 else bytes(size)
    return Thrown("large values", value, dead(Reason.TOO_LARGE), [])


def thrown(target: Target) -> Iterator[Thrown]:
    """All records, the large ones among the others."""
    chance = random.Random(SEED)
    make, at = thrower(target.kinds), frozenset(chance.sample(range(RECORDS), LARGE))
    return (large(chance) if number in at else make(chance) for number in range(RECORDS))


def sent(bootstrap: str, topic: str, every: Iterator[Thrown]) -> Mapping[Place, Thrown]:
    """Send them, and where each stands. Large ones go in batches of their own."""
    places: dict[Place, Thrown] = {}
    own = {
        "bootstrap.servers": bootstrap,
        "message.max.bytes": 100_000_000,
        "compression.type": "zstd",
        "queue.buffering.max.kbytes": 1 << 20,
    }
    small, big = Producer({**own, "linger.ms": 20, "batch.size": 200_000}), Producer({**own, "batch.num.messages": 1})
    for number, one in enumerate(every):

        def landed(error: KafkaError | None, message: Message, one: Thrown = one) -> None:
            assert error is None, error
            places[message.partition() or 0, message.offset() or 0] = one._replace(
                value=one.value if len(one.value or b"") < 2_000_000 else bytes(VALUE_BYTES + 1)
            )

        producer = big if len(one.value or b"") > VALUE_BYTES else small
        producer.produce(topic, one.value, one.key, number % PARTITIONS, landed, headers=list[Any](one.headers))
        producer.poll(0)
        if producer is big:
            assert big.flush(60) == 0
    assert small.flush(60) == 0
    return places


def entries(bootstrap: str, topic: str) -> Iterator[Entry]:
    """The committed records of a topic, by partition."""
    for message in sorted(everything(bootstrap, topic), key=lambda message: (message.partition() or 0, message.offset() or 0)):
        headers: Any = message.headers() or []
        value: Any = message.value()
        key: Any = message.key()
        yield Entry(message.offset() or 0, 0, key, value, headers, None)


@pytest.mark.parametrize(
    "target", [one for one in targets() if one.name in ("avro-single-object", "cloudevents")], ids=lambda one: one.name
)
@pytest.mark.timeout(900)
async def test_whatever_is_thrown_at_a_real_worker_ends_once_as_it_must(stack: TestStack, tmp_path: Path, target: Target) -> None:
    flow = Fuzzed(stack, tmp_path, target)
    places = sent(stack.bootstrap, flow.input, thrown(target))
    assert len(places) == RECORDS
    began = time.monotonic()
    with flow.running():
        pid = int(flow.status()["pid"])
        flow.finish(600)
        took, peak = time.monotonic() - began, psutil.Process(pid).memory_info().rss
        assert flow.starts() == 1
    told = Told(target.name, RECORDS, [took])
    spec = check(project(tmp_path, target), flow.name).sound()
    judge(told, topics_of(spec), lambda topic: entries(stack.bootstrap, topic), places)
    print(
        f"\n{target.name}: {RECORDS:,} records, {LARGE} large, in {took:.0f} s; {len(told.wrong)} wrong; worker {peak >> 20} MiB at the end"
    )
    assert told.wrong[:3] == []
    assert peak < PEAK_BYTES
    assert (await flow.audited()).proven
