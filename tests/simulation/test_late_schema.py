"""An event may come before the registry knows its schema: it waits as a retry does, and holds nobody up."""

import asyncio
import json

import pyarrow as pa

from connectors.log import Outgoing
from connectors.memory.publisher import MemoryPublisher
from connectors.registry.client import HttpRegistry
from connectors.registry.twin import RegistryTwin, served
from processors.flow.compiled import Limits
from processors.steps.decode import DecodeStep
from schemas.codecs.framed import confluent
from schemas.contracts import Contract
from schemas.vocabulary import Verdict
from tests.simulation.small import World, running, small_flow, until
from tests.unit.test_codec_avro import written

NUMBER = Contract.of({"type": "record", "name": "a.N", "fields": [{"name": "n", "type": "long"}, {"name": "id", "type": "string"}]})
HOSTILE = 200


def event(schema_id: int, n: int) -> bytes:
    return b"\0" + schema_id.to_bytes(4, "big") + written(NUMBER.schema, {"n": n, "id": f"e{n}"})


async def test_an_event_whose_schema_is_registered_a_moment_later_ends_in_a_result_and_hostile_ids_hold_nobody_up() -> None:
    world, twin = World(), RegistryTwin()
    known = twin.put("in-value", json.dumps(NUMBER.schema))
    with served(twin) as url:
        decode = DecodeStep("decode", confluent(NUMBER, HttpRegistry(url)), asks=True, waits=True)
        _, ask, count = small_flow().steps
        limits = Limits(retries_s=(0.05, 1.2), review_s=60.0)
        flow = small_flow(
            steps=(decode, ask, count), gives=({"n": pa.int64(), "id": pa.string()}, {"rule": pa.string()}, {}), limits=limits
        )
        values = [event(known + 1, 1), *(event(1_000 + at, 2) for at in range(HOSTILE)), event(known, 3)]
        await MemoryPublisher(world.broker).publish(Outgoing("in", [None] * len(values), values, partition=0))
        async with running(world.lane(flow)) as lane:
            async with asyncio.timeout(8):
                while not await world.values("out"):
                    await asyncio.sleep(0.01)
            twin.put("in-value", json.dumps({**NUMBER.schema, "doc": "a moment later"}))
            await until(lane.idle)
    ended = [leaf for leaf in await world.leaves() if Verdict(leaf.verdict).terminal]
    assert {leaf.root.offset: leaf.number > 0 for leaf in ended if leaf.verdict == "result"} == {0: True, HOSTILE + 1: False}
    assert {(leaf.verdict, leaf.reason) for leaf in ended if 0 < leaf.root.offset <= HOSTILE} == {("dead-letter", "retries-exhausted")}
    assert set((await world.terminal()).values()) == {1}
