"""Headers as large as anybody may write take no more memory than what a fetch lets through and what a batch may hold."""

import subprocess
import sys

import pytest
from confluent_kafka import Producer

from tests.contract.fabrics import KafkaFabric
from tests.stack import TestStack

RECORDS, HEADER_BYTES = 5_000, 100_000
BOUND_MB = 300  # of the 500 MB that they are: a fetch of lz4 holds up to 120 MB of them, and is copied record by record
MEMBER = """\
import asyncio, re, sys
from pathlib import Path
from connectors.kafka.log import KafkaLog
from connectors.kafka.settings import KafkaSettings
from streams.parts import Bounds
from tests.contract.fabrics import Joined

def peak_mb():
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) // 1024

async def main(bootstrap, topic, records):
    bounds, held, seen, largest = Bounds(), [], 0, 0
    log = KafkaLog(KafkaSettings(bootstrap), "headers", "headers-0")
    member = await Joined.start_one(log, [topic])
    before = peak_mb()
    await member.until(lambda: bool(member.owned))
    await asyncio.sleep(1.5)  # the client fetches ahead
    while seen < int(records):
        fetched = await member.fetch(0.2, bounds.batch_rows, bounds.batch_bytes)
        rows = sum(map(len, fetched.records))
        seen, largest = seen + rows, max(largest, rows)
        held = [*held, fetched][-bounds.flight_batches:]
    print(largest, peak_mb() - before)
    await log.close()

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.slow
async def test_records_with_huge_headers_take_no_more_memory_than_the_bound(stack: TestStack) -> None:
    topic = await KafkaFabric(stack.bootstrap).topic()
    conf = {"bootstrap.servers": stack.bootstrap, "compression.type": "lz4", "queue.buffering.max.kbytes": 65_536}
    producer = Producer(conf | {"linger.ms": 20})
    for _ in range(RECORDS):
        while True:
            try:
                producer.produce(topic, b"v", headers=[("h", bytes(HEADER_BYTES))])
                break
            except BufferError:
                producer.poll(0.1)
    assert producer.flush(30) == 0
    ran = subprocess.check_output([sys.executable, "-c", MEMBER, stack.bootstrap, topic, str(RECORDS)], text=True, timeout=60)
    largest, grown_mb = map(int, ran.split())
    print(f"{RECORDS} records, {RECORDS * HEADER_BYTES >> 20} MB of headers: at most {largest} rows a batch, {grown_mb} MB more memory")
    assert largest <= 100
    assert grown_mb < BOUND_MB
