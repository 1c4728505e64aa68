"""Throws records at a real lane on the in-memory log, and holds each one's outcome against what must become of it."""

import asyncio
import ctypes
import gc
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa

from connectors.log import Outgoing
from connectors.memory.broker import MemoryBroker
from connectors.memory.log import MemoryLog
from connectors.memory.lookup import MemoryLookup
from connectors.memory.partition import Entry
from connectors.memory.publisher import MemoryPublisher
from connectors.memory.reader import MemoryReader
from processors.flow.compile import compile_flow
from processors.flow.compiled import Flow
from processors.flow.plan import Parts
from processors.flow.project import FolderProject
from schemas.vocabulary import Verdict
from streams.clock import SystemClock
from streams.lane import Lane
from streams.ledger.key import LogKey
from streams.ledger.signer import Signer
from streams.parts import Bounds, LaneParts
from streams.watch import UNWATCHED
from tests.fuzz.codecs import Both
from tests.fuzz.encodings import IDS, Target
from tests.fuzz.events import DONE, EVENT, EXACT, FLOW, FOREIGN, OLDER, POLICIES, RULES, UNTOLD, WHO
from tests.fuzz.thrown import VALUE_BYTES, Thrown, thrower
from tests.fuzz.told import Held, Place, Told, judge

PARTITIONS = 3
WAVE = 5_000
ROUND = 3  # waves that are drawn together
SELDOM = 0.01
TOPIC_BYTES = 1 << 20
"""What the topics take, but for the input, which takes more: such a record must end too."""
SCHEMAS = {"fuzz.Event": EVENT, "fuzz.Event@1": OLDER, "fuzz.Event@2": FOREIGN, "fuzz.Exact": EXACT, "fuzz.Done": DONE, "fuzz.Who": WHO}


def project(folder: Path, target: Target) -> FolderProject:
    """The fuzzed flow in a project of its own, with a registry in files."""
    text = FLOW.format(name="fuzz", contract=target.contract, encoding=target.encoding, result=target.result, value_bytes=VALUE_BYTES)
    files = {"flows/fuzz.yaml": text, "rules/fuzz.yaml": RULES, "policies/fuzz.yaml": POLICIES}
    files |= {f"schemas/{name}.avsc": json.dumps(schema) for name, schema in SCHEMAS.items()}
    files |= {f"schemas/registry/{number}.avsc": json.dumps(schema) for number, schema in IDS.items()}
    for path, said in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(said)
    return FolderProject(folder)


class NoModels:
    """The fuzzed flow asks no model."""

    async def infer(self, *asked: object) -> Any:
        raise AssertionError(asked)


class Stream:
    """One lane on one in-memory broker, whose topics are emptied after each wave."""

    def __init__(self, folder: Path, target: Target, seed: int, change: Callable[[Flow], Flow] | None = None) -> None:
        self.target, self.chance = target, random.Random(f"{target.name} {seed}")
        self.make = thrower(target.kinds)
        parts = Parts(MemoryLookup(), NoModels(), time.monotonic, FolderProject(folder))
        self.flow = (change or (lambda flow: flow))(compile_flow(project(folder, target), "fuzz", parts))
        self.broker, self.told = MemoryBroker(), Told(target.name)
        for name in {*self.flow.topics.written, *self.flow.topics.consumed}:
            self.broker.create(name, PARTITIONS, TOPIC_BYTES if name != self.flow.topics.input else 1 << 30)
        self.lane = self._lane()
        self._both = None if target.avro is None else Both(target.avro.schema, target.avro.frame)

    def _lane(self) -> Lane:
        publisher, clock = MemoryPublisher(self.broker), SystemClock()
        signer = Signer(publisher, self.flow.topics.checkpoints, LogKey.generate(), clock)
        log = MemoryLog(self.broker, "fuzz", "fuzz-0")
        bounds = Bounds(poll_s=0.02, room_s=0.05)
        return Lane(LaneParts(log, MemoryReader(self.broker), publisher, (self.flow,), "fuzz", clock, signer, UNWATCHED, bounds))

    def run_now(self, waves: Iterable[Sequence[Thrown]]) -> Told:
        """The same, in a loop of its own."""
        return asyncio.run(self.run(waves))

    async def run(self, waves: Iterable[Sequence[Thrown]]) -> Told:
        """Throw them, one wave after the other."""
        await self.lane.start()
        task = asyncio.create_task(self.lane.run())
        for thrown in waves:
            await self._wave(thrown, task)
        self.lane.stop()
        await task
        await self.lane.close()
        return self.told

    def waves(self, records: int) -> Iterator[Sequence[Thrown]]:
        """So many records: a wave as it is drawn, one that is nearly all good, and one of the bad that were left over."""
        for left in range(records, 0, -ROUND * WAVE):
            drawn = [self.make(self.chance) for _ in range(min(ROUND * WAVE, left))]
            mixed, rest = drawn[:WAVE], drawn[WAVE:]
            good, bad = list[Thrown](), list[Thrown]()
            for one in rest:
                (good if self._good(one) else bad).append(one)
            yield from (wave for wave in (mixed, (good + bad)[:WAVE], (good + bad)[WAVE:]) if wave)

    def _good(self, one: Thrown) -> bool:
        """Or one in hundreds that is not: what is read in whole batches gets a chance to let a bad one pass among those that are."""
        return (one.ending.verdict is not Verdict.DEAD_LETTER and one.ending is not UNTOLD) or self.chance.random() < SELDOM

    async def _wave(self, thrown: Sequence[Thrown], task: asyncio.Task[None]) -> None:
        places = self._sent(thrown)
        began = time.process_time()
        while not (task.done() or self._over(places)):
            await asyncio.sleep(0.005)
        if task.done():
            task.result()
        self.told.waves_s.append(time.process_time() - began)
        self.told.records += len(thrown)
        judge(self.told, self.flow.topics, self.entries, places)
        if self._both is not None:
            self.told.wrong += self._both.differences(
                [one.value for one in thrown if one.value is not None and len(one.value) <= VALUE_BYTES]
            )
        self._emptied()
        _give_back()
        self.told.memory.append(Held(psutil.Process().memory_info().rss, sys.getallocatedblocks()))

    def _sent(self, thrown: Sequence[Thrown]) -> Mapping[Place, Thrown]:
        publish, places = self.broker.append, dict[Place, Thrown]()
        for number, one in enumerate(thrown):
            outgoing = Outgoing(self.flow.topics.input, [one.key], [one.value], [list(one.headers)], number % PARTITIONS)
            (position,) = publish(outgoing)
            places[position.partition, position.offset] = one
        return places

    def _over(self, places: Mapping[Place, Thrown]) -> bool:
        """Whether what is committed stands behind all of them."""
        offsets = self.broker.group("fuzz").offsets
        last = Counter[int]()
        for partition, offset in places:
            last[partition] = max(last[partition], offset)
        done = {source.partition: commit.offset for source, commit in offsets.items() if source.topic == self.flow.topics.input}
        return all(done.get(partition, 0) > offset for partition, offset in last.items())

    def entries(self, topic: str) -> Iterator[Entry]:
        """The committed records of a topic."""
        for part in self.broker.topic(topic).partitions:
            yield from (entry for entry in part.entries if entry.visible)

    def _emptied(self) -> None:
        for topic in self.broker.topics.values():
            for part in topic.partitions:
                part.purge(part.high)


def _give_back() -> None:
    """What nobody refers to, to the system: allocators keep tens of megabytes, now more, now less."""
    gc.collect()
    pa.default_memory_pool().release_unused()
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):  # the C library of most Linux systems has it
        trim(0)
