"""Models that answer wrongly or late, over real gRPC, below a whole lane: each row ends once, by the next rung or for the right reason."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from connectors.log import Outgoing
from connectors.memory.broker import MemoryBroker
from connectors.memory.log import MemoryLog
from connectors.memory.lookup import MemoryLookup
from connectors.memory.publisher import MemoryPublisher
from connectors.memory.reader import MemoryReader
from processors.flow.compile import compile_flow
from processors.flow.compiled import Flow
from processors.flow.plan import Parts
from schemas.positions import Source
from serving.catalog import Manifests
from serving.client import GrpcEndpoint
from serving.router import Router
from streams.clock import SystemClock
from streams.lane import Lane
from streams.ledger.block import unpack
from streams.ledger.key import LogKey
from streams.ledger.leaf import Leaf, decode
from streams.ledger.signer import Signer
from streams.parts import Bounds, LaneParts
from streams.watch import UNWATCHED
from tests.fuzz.lies import LIES, UNSURE, Liar, honest, serving, unsure
from tests.simulation.small import running, until
from tests.unit.flow_project import MANIFEST, write

ROWS, PARTITIONS, KEYS = 120, 2, 6
FIELDS = [{"name": "id", "type": "string"}, {"name": "n", "type": "double"}]
GIVEN = [{"name": "score", "type": "double"}, {"name": "model", "type": "string"}, {"name": "degraded", "type": "boolean"}]
FLOW = """\
flow: lies
version: 1.0.0
input: {topic: in, schema: lies.Event, encoding: json, id: id}
steps:
  - filter: {when: "n < 0.0", reason: negative}
  - infer: {model: champion, timeout_ms: 400, outage: %s, fallback: %s}
result: {topic: out, schema: lies.Scored, encoding: json}
limits: {retries: [1s]}
"""
CHAMPION, LITE = "champion@1.0.0", "lite@1.0.0"
SECOND, PERSON, RULE = "[{model: lite}]", '["review"]', '[{rule: "n + 1000.0"}]'
BAD, FILTERED = 7, 11  # in each so many rows one can't be read, and one is not for this flow


def compiled(folder: Path, target: str, fallback: str, outage: str = "degrade") -> Flow:
    """The flow, on a project of its own, asking the server there."""
    manifest = MANIFEST.replace("dep_delay", "n")
    schemas = {name: {"type": "record", "namespace": "lies", "name": name, "fields": fields} for name, fields in
               (("Event", FIELDS), ("Scored", FIELDS + GIVEN))}  # fmt: skip
    files = {f"schemas/lies.{name}.avsc": json.dumps(schema) for name, schema in schemas.items()}
    files |= {f"models/{name}/manifest.json": manifest.replace('"late"', f'"{name}"') for name in ("champion", "lite")}
    project = write(folder, {"flows/lies.yaml": FLOW % (outage, fallback), **files})
    router = Router(Manifests(project), GrpcEndpoint(target))
    return compile_flow(project, "lies", Parts(MemoryLookup(), router, asyncio.get_running_loop().time, project))


def sent(number: int) -> bytes:
    """The value of an event."""
    if number % BAD == 3:
        return b'{"id": '
    return json.dumps({"id": f"e{number}", "n": float(-1 if number % FILTERED == 5 else number)}).encode()


def good(number: int) -> bool:
    """Whether the model is asked about an event."""
    return number % BAD != 3 and number % FILTERED != 5


@dataclass
class Told:
    """What became of all events."""

    leaves: Sequence[Leaf]
    results: Sequence[dict[str, Any]]  # of each key in their order

    def ends(self) -> Counter[tuple[str, str]]:
        return Counter((leaf.verdict, leaf.reason) for leaf in self.leaves)

    def scores(self) -> dict[float, tuple[float, str, bool]]:
        return {said["n"]: (said["score"], said["model"], said["degraded"]) for said in self.results}


class World:
    """One lane on one in-memory broker."""

    def __init__(self, flow: Flow) -> None:
        self.flow, self.broker = flow, MemoryBroker()
        for name in {*flow.topics.written, *flow.topics.consumed, flow.topics.checkpoints}:
            self.broker.create(name, PARTITIONS)
        signer = Signer(MemoryPublisher(self.broker), flow.topics.checkpoints, LogKey.generate(), SystemClock())
        log, reader, publisher = MemoryLog(self.broker, "lies", "lies-0"), MemoryReader(self.broker), MemoryPublisher(self.broker)
        bounds = Bounds(poll_s=0.02, room_s=0.05, expiry_s=0.05)
        self.lane = Lane(LaneParts(log, reader, publisher, (flow,), "weft", SystemClock(), signer, UNWATCHED, bounds))

    def send(self) -> None:
        for number in range(ROWS):
            self.broker.append(Outgoing("in", [b"k%d" % (number % KEYS)], [sent(number)], partition=number % PARTITIONS))

    def entries(self, topic: str) -> list[bytes]:
        parts = [self.broker.partition(Source(topic, partition)) for partition in range(PARTITIONS)]
        return [entry.value for part in parts for entry in part.entries if entry.visible and entry.value is not None]

    def told(self) -> Told:
        """Each event has ended or waits, once; records that can't be read and those filtered end as ever; results are in order."""
        leaves = [decode(leaf) for value in self.entries("lies.ledger") for leaf in unpack(value).leaves()]
        results = [json.loads(value) for value in self.entries("out")]
        last = {leaf.root: leaf for leaf in sorted(leaves, key=lambda leaf: leaf.number)}
        assert len(last) == ROWS
        assert len(leaves) == len({(leaf.root, leaf.number) for leaf in leaves})
        numbers = [int(said["n"]) for said in results]
        for key in range(KEYS):
            assert [n for n in numbers if n % KEYS == key] == sorted(n for n in numbers if n % KEYS == key)
        told = Told(list(last.values()), results)
        assert told.ends()["filtered", "filter"] == sum(sent(n) != b'{"id": ' and not good(n) for n in range(ROWS))
        assert sum(leaf.verdict == "dead-letter" and leaf.reason != "retries-exhausted" for leaf in last.values()) == sum(
            n % BAD == 3 for n in range(ROWS)
        )
        return told


@asynccontextmanager
async def through(folder: Path, liar: Liar, fallback: str, outage: str = "degrade") -> AsyncIterator[World]:
    """All events through the lane, until it is idle."""
    async with serving(liar) as target:
        world = World(compiled(folder, target, fallback, outage))
        world.send()
        async with running(world.lane):
            await until(world.lane.idle)
            yield world


EVERY = {float(n) for n in range(ROWS) if good(n)}


@pytest.mark.parametrize("lie", LIES)
async def test_a_wrong_answer_is_no_answer_and_the_next_model_answers(tmp_path: Path, lie: str) -> None:
    liar = Liar({"champion": LIES[lie]})
    async with through(tmp_path, liar, SECOND) as world:
        assert world.told().scores() == {n: (n / 2, LITE, True) for n in EVERY}
    assert liar.asked == ["champion", "lite"]


@pytest.mark.parametrize("lie", LIES)
async def test_where_no_rung_is_left_a_person_decides_about_rows_with_a_wrong_answer(tmp_path: Path, lie: str) -> None:
    async with through(tmp_path, Liar({"champion": LIES[lie]}), PERSON) as world:
        told = world.told()
    assert told.ends()["review", "model-unavailable"] == len(EVERY)
    assert not told.results


async def test_a_late_answer_is_no_answer_and_the_next_model_answers(tmp_path: Path) -> None:
    liar = Liar({}, frozenset({"champion"}))
    async with through(tmp_path, liar, SECOND, "pause") as world:
        assert world.told().scores() == {n: (n / 2, LITE, True) for n in EVERY}
    assert liar.asked == ["champion", "lite"]


async def test_two_models_that_lie_and_one_rule(tmp_path: Path) -> None:
    liar = Liar({"champion": LIES["half of the rows"]}, frozenset({"lite"}))
    async with through(tmp_path, liar, SECOND.replace("]", "") + ", " + RULE[1:]) as world:
        assert world.told().scores() == {n: (n + 1000, "rule:n + 1000.0", True) for n in EVERY}


async def test_only_rows_without_a_number_go_down_and_all_keep_their_order(tmp_path: Path) -> None:
    async with through(tmp_path, Liar({"champion": unsure}), SECOND) as world:
        scores = world.told().scores()
    assert scores == {n: (n / 2, *((LITE, True) if n % UNSURE == 0 else (CHAMPION, False))) for n in EVERY}


async def test_rows_that_nobody_has_a_number_for_are_tried_again_and_end(tmp_path: Path) -> None:
    async with through(tmp_path, Liar({"champion": unsure}), "[]") as world:
        told = world.told()
    gone = {n for n in EVERY if n % UNSURE == 0}
    assert told.scores() == {n: (n / 2, CHAMPION, False) for n in EVERY - gone}
    assert told.ends()["dead-letter", "retries-exhausted"] == len(gone)


async def test_a_model_that_has_come_to_itself_answers_for_the_rows_that_waited(tmp_path: Path) -> None:
    lies = dict[str, Callable[..., Any]]({"champion": LIES["half of the bytes"]})
    liar = Liar(lies)
    async with serving(liar) as target:
        world = World(compiled(tmp_path, target, "[]"))
        world.send()
        async with running(world.lane):
            await until(lambda: bool(world.lane.status()["asleep"]))
            lies["champion"] = honest
            await until(world.lane.idle)
    assert world.told().scores() == {n: (n / 2, CHAMPION, False) for n in EVERY}
