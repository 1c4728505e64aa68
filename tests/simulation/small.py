"""A small flow of numbers, and a world of in-memory ports to run lanes in."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa

from connectors.log import Outgoing, Records
from connectors.memory.broker import MemoryBroker
from connectors.memory.log import MemoryLog
from connectors.memory.publisher import MemoryPublisher
from connectors.memory.reader import MemoryReader
from processors.flow.compiled import Flow, Limits, Topics
from processors.step import Batch, Leave, State, Stepped
from schemas.positions import Source
from schemas.vocabulary import Reason, Verdict
from streams.clock import Clock, SystemClock
from streams.lane import Lane
from streams.ledger.block import unpack
from streams.ledger.key import LogKey
from streams.ledger.leaf import Leaf, decode
from streams.ledger.signer import Signer
from streams.parts import Bounds, LaneParts
from streams.watch import UNWATCHED, Watch

PARTITIONS = 3


class Lines:
    """Writes a row as a JSON line; refuses negative numbers."""

    content_type = "application/json"
    schema_json = '"string"'

    def encode(self, columns: pa.RecordBatch) -> Sequence[bytes]:
        rows = columns.to_pylist()
        if any("weft_why" not in row and (row.get("n") or 0) < 0 for row in rows):
            raise ValueError("n is negative")
        return [json.dumps(row, sort_keys=True).encode() for row in rows]


class Numbers:
    """Decodes a decimal number; what is none is a dead letter."""

    name, stateful = "numbers", False

    async def run(self, batch: Batch, state: State) -> Stepped:
        texts = [(batch.intake.values[row] or b"").decode() for row in batch.origin]
        good = np.array([row for row, text in enumerate(texts) if text.lstrip("-").isdigit()], np.int64)
        bad = np.setdiff1d(np.arange(len(texts)), good)
        columns = {"n": pa.array([int(texts[row]) for row in good], pa.int64()), "id": pa.array([f"e{texts[row]}" for row in good])}
        leaves = (Leave(bad, Verdict.DEAD_LETTER, Reason.WRONG_TYPE, sentence="not a number"),) if len(bad) else ()
        return Stepped(Batch(pa.RecordBatch.from_pydict(columns), batch.origin[good], batch.intake), leaves, state)


@dataclass
class Ask:
    """Sends rows to where `decide` says; raises on 13."""

    decide: Callable[[int, int], Verdict | None]
    name: str = "ask"
    stateful: bool = False

    async def run(self, batch: Batch, state: State) -> Stepped:
        await asyncio.sleep(0)
        numbers = batch.columns.column("n").to_pylist()
        if 13 in numbers:
            raise RuntimeError("thirteen")
        said = [self.decide(n, batch.intake.trip(int(row)).attempt) for n, row in zip(numbers, batch.origin, strict=True)]
        leaves, gone = [], np.array([row for row, verdict in enumerate(said) if verdict is not None], np.int64)
        for verdict in sorted({verdict for verdict in said if verdict is not None}):
            rows = np.array([row for row, one in enumerate(said) if one is verdict], np.int64)
            leaves.append(Leave(rows, verdict, Reason.POLICY, "asked", "the rule asks"))
        kept = batch.without(gone).with_column("rule", pa.nulls(len(batch) - len(gone), pa.string()))
        return Stepped(kept, tuple(leaves), state)


class Count:
    """Counts the rows of each source: state that must be adopted once."""

    name, stateful = "count", True

    async def run(self, batch: Batch, state: State) -> Stepped:
        after = dict(state)
        for index, source in enumerate(batch.intake.sources):
            rows = int((batch.intake.source[batch.origin] == index).sum())
            after[source] = after.get(source, 0) + rows
        return Stepped(batch, (), after)


def small_flow(decide: Callable[[int, int], Verdict | None] = lambda n, attempt: None, **changes: Any) -> Flow:
    """numbers -> ask -> count."""
    topics = Topics(
        "in", "out", "f.dead", "f.quarantine", "f.reviews", "f.resume", ("f.retry.a", "f.retry.b"), "f.generations", "f.ledger", "f.signed"
    )
    return replace(
        Flow("f", "1.0.0", topics, Limits(retries_s=(0.05, 0.1), review_s=60.0), "none", (Numbers(), Ask(decide), Count()),
             ({"n": pa.int64(), "id": pa.string()}, {"rule": pa.string()}, {}), Lines(), "tests.Number", Lines(), "id", None, True),
        **changes,
    )  # fmt: skip


@dataclass
class World:
    """A broker with a flow's topics, and what was written to it."""

    broker: MemoryBroker = field(default_factory=MemoryBroker)
    lanes: list[Lane] = field(default_factory=list)
    key: LogKey = field(default_factory=LogKey.generate)
    trace_share: float = 0.0
    clock: Clock = field(default_factory=SystemClock)

    def __post_init__(self) -> None:
        topics = small_flow().topics
        for name in (topics.input, topics.result, topics.dead_letters, topics.quarantine, topics.reviews, topics.resume, *topics.retries,
                     topics.generations, topics.ledger, topics.checkpoints):  # fmt: skip
            self.broker.create(name, PARTITIONS, 4_000_000)

    def lane(
        self,
        flow: Flow,
        slot: str = "f-0",
        log: MemoryLog | None = None,
        before: Sequence[Flow] = (),
        gone: Sequence[Topics] = (),
        watch: Watch = UNWATCHED,
        **bounds: Any,
    ) -> Lane:
        publisher = MemoryPublisher(self.broker)
        log = log or MemoryLog(self.broker, "f", slot)
        signer = Signer(publisher, flow.topics.checkpoints, self.key, self.clock)
        settings = {"poll_s": 0.02, "room_s": 0.05, "revoke_s": 0.2, "stalled_s": 2.0, "expiry_s": 0.02} | bounds
        return Lane(
            LaneParts(
                log,
                MemoryReader(self.broker),
                publisher,
                (flow, *before),
                "weft",
                self.clock,
                signer,
                watch,
                Bounds(**settings),
                gone,
                self.trace_share,
            )
        )

    async def send(self, numbers: Sequence[object], topic: str = "in") -> None:
        for at, number in enumerate(numbers):
            value = str(number).encode()
            await MemoryPublisher(self.broker).publish(Outgoing(topic, [value], [value], [[("ce_id", b"x")]], partition=at % PARTITIONS))

    async def records(self, topic: str) -> list[Records]:
        reader = MemoryReader(self.broker)
        return [part for p in range(PARTITIONS) async for part in reader.read(Source(topic, p))]

    async def values(self, topic: str) -> list[bytes | None]:
        return [value for part in await self.records(topic) for value in part.values]

    async def leaves(self) -> list[Leaf]:
        blocks = [unpack(value) for value in await self.values("f.ledger") if value is not None]
        return [decode(leaf) for block in blocks for leaf in block.leaves()]

    async def terminal(self) -> Counter[str]:
        """Terminal leaves by root position: each must be there once per generation."""
        return Counter(f"{leaf.root}#{leaf.generation}" for leaf in await self.leaves() if Verdict(leaf.verdict).terminal)


@asynccontextmanager
async def running(lane: Lane) -> AsyncIterator[Lane]:
    """The lane at work, until the block ends."""
    await lane.start()
    task = asyncio.create_task(lane.run())
    try:
        yield lane
    finally:
        lane.stop()
        await asyncio.wait_for(task, 10)
        await lane.drain()
        await lane.close()


async def until(condition: Callable[[], bool], seconds: float = 8.0) -> None:
    """Wait for it."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)
