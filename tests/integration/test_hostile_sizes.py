"""On the real broker: keys, headers and columns that no topic takes, and headers that can't be read, end as letters; the lane goes on."""

import asyncio
import os
import sys
from collections.abc import Sequence
from dataclasses import replace

import pyarrow as pa
from confluent_kafka import Producer

from ops.daily.letters import letters
from processors.flow.compiled import Flow
from processors.step import Batch, State, Stepped
from schemas.headers import CUT, UNREADABLE
from schemas.vocabulary import Verdict
from tests.integration.test_daily_desk import eventually, opened
from tests.simulation.small import PARTITIONS, Ask, running, until
from tests.stack import TestStack

BIG = 9_000_000
ROWS: Sequence[tuple[bytes, bytes, Sequence[tuple[str, bytes]]]] = [
    (b"k" * BIG, b"6", []),
    (b"k" * BIG, b"junk", []),
    (b"k", b"junk", [("h", b"h" * BIG)]),
    (b"k", b"170", [("h", b"h" * BIG)]),
    (b"k", b"270", []),
    (b"k", b"170", []),
    (b"k", b"70", []),
    (b"k", b"7" * 1_200_000, [("h", b"h" * 40_000)] * 30),
    (b"k", b"101", []),
    (b"k", b"201", []),
    (b"k", b"8", []),
]
UNREADABLE_PRODUCER = """
import asyncio, sys
from aiokafka import AIOKafkaProducer

class NoText(str):
    def encode(self, *_):
        return b"\\xff\\xfe"

async def put(bootstrap, topic, *values):
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap)
    await producer.start()
    for value in values:
        await producer.send_and_wait(topic, value.encode(), b"k", partition=1, headers=[(NoText("x"), b"v"), ("fine", b"v")])
    await producer.stop()

asyncio.run(put(*sys.argv[1:]))
"""


class Find:
    """Gives each row what a lookup holds: for 70 and 170 more than any topic takes, and it does not get smaller."""

    name, stateful = "find", False

    async def run(self, batch: Batch, state: State) -> Stepped:
        found = [os.urandom(1_000_000).hex() if n % 100 == 70 else "" for n in batch.columns.column("n").to_pylist()]
        return Stepped(batch.with_column("found", pa.array(found, pa.string())), state=state)


def finding(flow: Flow) -> Flow:
    """With a step that finds much; 100 to 199 wait for a person, from 200 on for time."""

    def decide(n: int, attempt: int) -> Verdict | None:
        return Verdict.REVIEW if 100 <= n < 200 else Verdict.RETRY if n >= 200 and not attempt else None

    numbers, _, count = flow.steps
    ask = Ask(decide)
    return replace(flow, steps=(numbers, Find(), ask, count), gives=({"n": pa.int64(), "id": pa.string()}, {"found": pa.string()},
                   {"rule": pa.string()}, {}))  # fmt: skip


async def put(bootstrap: str, topic: str, rows: Sequence[tuple[bytes, bytes, Sequence[tuple[str, bytes]]]]) -> None:
    """As a producer in another language may: compressed below the topic's limit, its own client's raised."""
    producer = Producer({"bootstrap.servers": bootstrap, "message.max.bytes": 100_000_000, "compression.type": "zstd"})
    refused: list[object] = []
    for at, (key, value, headers) in enumerate(rows):
        producer.produce(
            topic, value, key, at % PARTITIONS, lambda error, _: refused.append(error) if error else None, headers=list(headers)
        )
    assert producer.flush(30) == 0
    assert not refused


async def put_unreadable(*asked: str) -> None:
    """Records with a header whose name is not UTF-8: `asked` are bootstrap, topic and values."""
    plain = {**os.environ, "AIOKAFKA_NO_EXTENSIONS": "1"}  # its codec in Python encodes a name by str.encode
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", UNREADABLE_PRODUCER, *asked, env=plain)
    assert await process.wait() == 0


async def test_no_size_and_no_header_holds_the_lane_up(stack: TestStack) -> None:
    async with opened(stack) as shop:
        shop.flow = finding(shop.flow)
        topic = shop.flow.topics.input
        await put(
            stack.bootstrap, topic, [(b"k", b"9", [("n", b"v")])] * 36
        )  # so that the code is warm: then the client's fault is not seen
        await put_unreadable(stack.bootstrap, topic, "junk", "5", "6")
        await put(stack.bootstrap, topic, ROWS)
        async with running(shop.lane()) as lane:
            await until(lane.idle, 30)
        found = [letter async for letter in letters(shop.desk)]
        told = sorted((letter.reason, letter.step, letter.key_size is not None, letter.lacks_headers) for letter in found)
        assert told == [
            ("step-failed", "numbers", False, True),  # a number of a million digits
            ("too-large", "ask", False, False),
            ("too-large", "ask", False, False),
            ("too-large", "ask", False, True),
            ("too-large", "result", False, False),
            ("too-large", "result", True, False),
            ("wrong-type", "numbers", False, False),
            ("wrong-type", "numbers", False, True),
            ("wrong-type", "numbers", True, False),
        ]
        assert sum(UNREADABLE in letter.row.headers for letter in found) == 1
        assert sum(CUT in letter.row.headers for letter in found) == 3
        assert (await shop.results(), await shop.reviews()) == (40, 1)
        await eventually(shop.letters, 9)
        await shop.proven()
