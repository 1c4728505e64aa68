"""Systems without a line of Weft in them send events and read decisions: the programs of docs/examples, against a real broker."""

import asyncio
import json
import shutil
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import pytest

from connectors.kafka.admin import KafkaAdmin, Topic
from connectors.kafka.log import KafkaLog
from connectors.kafka.publisher import KafkaPublisher
from connectors.kafka.reader import KafkaReader
from connectors.kafka.settings import KafkaSettings
from connectors.log import Outgoing
from ops.daily.rows import every
from ops.examples import flights, loans
from ops.flow.offline import parts
from ops.stack import jars
from processors.flow.compile import compile_flow
from processors.flow.project import BUILT_IN, FolderProject
from schemas.contracts import built_in
from serving.memory import local_models
from streams.clock import SystemClock
from streams.lane import Lane
from streams.ledger.key import LogKey
from streams.ledger.signer import Signer
from streams.parts import Bounds, LaneParts
from streams.settings import Settings
from streams.watch import NoWatch
from tests.models import trained
from tests.simulation.small import running
from tests.stack import TestStack

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
PARTITIONS = 1  # so that what is read comes in one order


class Shipped:
    """A shipped flow under a name and topics of its own, its lane in this process."""

    def __init__(self, kafka: KafkaSettings, folder: Path, shipped: str, topics: Mapping[str, str], lookups: Mapping[str, bytes]) -> None:
        trained()
        name = f"f{uuid4().hex[:8]}"
        text = (BUILT_IN["flows"] / f"{shipped}.yaml").read_text().replace(f"flow: {shipped}", f"flow: {name}")
        for topic, place in topics.items():
            text = text.replace(f"topic: {topic},", f"topic: {place}.{name},")
        (folder / "flows").mkdir()
        (folder / "flows" / f"{name}.yaml").write_text(text)
        project = FolderProject(folder)
        self.flow = compile_flow(project, name, parts(project, local_models(project), lookups))
        self.kafka, self.reader, self.publisher = kafka, KafkaReader(kafka), KafkaPublisher(kafka)

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        topics, clock = self.flow.topics, SystemClock()
        own = (topics.input, topics.result, topics.dead_letters, topics.quarantine, topics.reviews, topics.resume, *topics.retries)
        made = [Topic(name, PARTITIONS) for name in (*own, topics.generations, topics.ledger)]
        await KafkaAdmin(self.kafka).create([*made, Topic(topics.checkpoints, 1)])
        log = KafkaLog(self.kafka, self.flow.name, f"{self.flow.name}-0")
        signer = Signer(self.publisher, topics.checkpoints, LogKey.generate(), clock)
        lane = Lane(LaneParts(log, self.reader, self.publisher, (self.flow,), "weft", clock, signer, NoWatch(), bounds=Bounds(poll_s=0.05)))
        try:
            async with running(lane):
                yield
        finally:
            await self.publisher.close()
            await self.reader.close()

    async def said_again(self, decisions: int) -> None:
        """The first decision once more, behind so many: as a sink meets it where a transaction of Kafka's had a hole."""
        async with asyncio.timeout(30):
            while len(rows := [row async for row in every(self.reader, self.flow.topics.result)]) < decisions:
                await asyncio.sleep(0.1)
        await self.publisher.publish(Outgoing(self.flow.topics.result, [rows[0].key], [rows[0].value], [list(rows[0].headers)]))


async def ran(*argv: str, given: str = "", folder: Path | None = None) -> str:
    """What a program said, once it has ended well."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*argv, stdin=pipe, stdout=pipe, stderr=pipe, cwd=folder)
    try:
        out, err = await asyncio.wait_for(process.communicate(given.encode()), 60)
    except TimeoutError:
        process.kill()
        raise
    assert process.returncode == 0, (out + err).decode()
    return out.decode()


def lines(rows: list[dict[str, object]]) -> str:
    return "".join(json.dumps(row, default=lambda moment: moment.isoformat()) + "\n" for row in rows)


async def test_a_java_system_sends_applications_and_reads_each_decision_once(stack: TestStack, tmp_path: Path) -> None:
    javac, java = shutil.which("javac"), shutil.which("java")
    if javac is None or java is None:
        pytest.skip("there is no javac on this machine")
    quick = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")  # programs that live for a second
    libraries = f"{jars.folder_of(Settings().cache_folder)}/*"
    built = str(tmp_path / "java")
    sources = sorted(map(str, (EXAMPLES / "java").glob("*.java")))
    await ran(javac, *(f"-J{option}" for option in quick), "-Xlint:all", "-Werror", "-cp", libraries, "-d", built, *sources)
    places = {"loans.applications": "in", "loans.decisions": "out"}
    shop = Shipped(KafkaSettings(stack.bootstrap), tmp_path, "loan-decisions", places, dict(loans.lookups()))
    topics, program = shop.flow.topics, [java, *quick, "-cp", f"{libraries}:{built}"]
    rows = [row for row in loans.applications().to_pylist() if row["application_id"] in {"LA-0003", "LA-0016"}]
    async with shop.at_work():
        sent = await ran(*program, "Applications", stack.bootstrap, topics.input, given=lines([*rows, rows[0]]))
        assert sent == f"3 applications are on {topics.input}\n"
        await shop.said_again(2)
        for late in loans.events(loans.applications().slice(6, 1), built_in()[loans.CONTRACT], "json", topics.input):
            await shop.publisher.publish(late)
        said = await ran(*program, "Decisions", stack.bootstrap, topics.result, topics.result, "3")
    first, second, again, last = said.splitlines()
    told = {line.partition(" ")[0]: json.loads(line.partition(": ")[2]) for line in (first, second, last)}
    assert {name: one["decision"] for name, one in told.items()} == {"LA-0003": "grant", "LA-0016": "decline", "LA-0023": "grant"}
    assert again == "again: LA-0003"
    assert first.startswith(f"LA-0003 by {shop.flow.ident}: ")


async def test_a_python_system_sends_departures_and_acts_on_each_decision_once(stack: TestStack, tmp_path: Path) -> None:
    places = {"flights.departures": "in", "flights.delay-decisions": "out"}
    shop = Shipped(KafkaSettings(stack.bootstrap), tmp_path, "departure-delays", places, {})
    topics, python = shop.flow.topics, EXAMPLES / "python"
    rows = [row for row in flights.departures()[:20].to_pylist() if row["departed_at"]][:5]
    consumer = (sys.executable, str(python / "decisions.py"), stack.bootstrap, topics.result, "notices")
    async with shop.at_work():
        producer = (sys.executable, str(python / "departures.py"), stack.bootstrap, topics.input)
        sent = await ran(*producer, str(BUILT_IN["schemas"] / "flights.Departure.avsc"), given=lines([rows[0], *rows]))
        assert sent == f"6 departures are on {topics.input}\n"
        result = str(BUILT_IN["schemas"] / "flights.DelayDecision.avsc")
        said = await ran(*consumer, result, "5", folder=tmp_path)
    first, again, *others = said.splitlines()
    assert again == f"again: {rows[0]['flight_id']}"
    assert [line.partition(":")[0] for line in (first, *others)] == [row["flight_id"] for row in rows]
    assert first.endswith(f" by {shop.flow.ident}")
