"""The ground that everything is measured on: a stack of its own in a temporary folder, real departures, the shipped flow under any name."""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from connectors.kafka.admin import KafkaAdmin, Topic
from connectors.kafka.publisher import KafkaPublisher
from connectors.kafka.settings import KafkaSettings
from connectors.log import Outgoing
from connectors.redis.lookup import RedisLookup
from ops.examples import flights
from ops.flow.applying import Applying, plan_only, run_apply
from ops.stack.local import LocalStack
from processors.flow.project import FolderProject
from schemas.contracts import built_in
from schemas.errors import FailedError, UsageError
from serving.catalog import Catalog
from serving.training.learners import LEARNERS
from serving.training.train import train
from streams.ledger.key import LogKey
from streams.settings import Settings

SHIPPED = "departure-delays"
INPUT = "bench.departures"
MODEL = "arrival-delay-lite"
IN_PROCESS = "in-process"

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Ground:
    """A running stack with a project beside it; both are gone afterwards."""

    folder: Path  # of this run: project, data, logs
    settings: Settings
    bootstrap: str
    redis: str
    serve: str  # host:port of the model server; "" where there is none
    partitions: int
    more: Mapping[str, str] = field(default_factory=dict)  # environment of every process

    @property
    def kafka(self) -> KafkaSettings:
        """The broker."""
        return KafkaSettings(self.bootstrap)

    def start(self, name: str, command: Sequence[str], serve: str = IN_PROCESS, folder: Path | None = None) -> subprocess.Popen[bytes]:
        """A process, its output at the end of a log of its own. `serve`: who answers for the models. `folder`: where it is, else here."""
        environment = {
            **os.environ,
            "WEFT_PROJECT": str(self.settings.project_folder),
            "WEFT_DATA": str(self.settings.data_folder),
            "WEFT_BOOTSTRAP": self.bootstrap,
            "WEFT_REDIS": self.redis,
            "WEFT_SERVE": serve,
            **self.more,
        }
        with self.log(name).open("ab") as log:
            return subprocess.Popen(list(command), cwd=folder, env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def worker(self, flow: str, *more: str, serve: str = IN_PROCESS, slot: int = 0, of: int = 1) -> subprocess.Popen[bytes]:
        """A worker of a flow."""
        told = ["--flow", flow, "--slot", str(slot), "--of", str(of), *more]
        return self.start(flow, [sys.executable, "-m", "streams.worker", *told], serve)

    def log(self, name: str) -> Path:
        """Where a process's output goes."""
        return self.folder / f"{name}.log"

    def said(self, name: str) -> str:
        """The end of a process's log."""
        return self.log(name).read_text(errors="replace")[-2_000:]

    async def apply(self, flow: str, topic: str = INPUT, changes: Mapping[str, str] | None = None) -> None:
        """The shipped flow under another name and from that topic to topics of its own, asking the small model first."""
        (self.settings.project_folder / "flows").mkdir(parents=True, exist_ok=True)
        (self.settings.project_folder / "flows" / f"{flow}.yaml").write_text(self._text(flow, topic, changes or {}))
        applying = Applying(self.settings, FolderProject(self.settings.project_folder), flow, self.partitions, False)
        await run_apply(applying, await plan_only(applying))

    def _text(self, flow: str, topic: str, changes: Mapping[str, str]) -> str:
        shipped = FolderProject(self.folder / "empty").read("flows", f"{SHIPPED}.yaml")
        if shipped is None:
            raise UsageError(f"the shipped flow {SHIPPED} is missing", "install Weft again")
        text = shipped.text
        for old, new in {
            f"flow: {SHIPPED}": f"flow: {flow}",
            "topic: flights.departures": f"topic: {topic}",
            "topic: flights.delay-decisions": f"topic: {out_of(flow)}",
            "model: arrival-delay, route": f"model: {MODEL}, route",
            f"fallback: [{{model: {MODEL}}}, ": "fallback: [",
            **changes,
        }.items():
            if old not in text:
                raise FailedError(f"the shipped flow does not say {old!r} any more", "bring ops/bench/ground.py up to date")
            text = text.replace(old, new)
        return text

    async def load(self) -> None:
        """Into Redis what departures are enriched with."""
        lookup = RedisLookup(self.redis)
        try:
            await lookup.load(flights.lookups())
        finally:
            await lookup.close()

    async def produce(self, events: int, topic: str = INPUT) -> None:
        """Make the topic if it is not there, and send so many departures to it."""
        await KafkaAdmin(self.kafka).create([Topic(topic, self.partitions)])
        publisher = KafkaPublisher(self.kafka)
        try:
            for outgoing in departures(events, topic):
                await publisher.publish(outgoing)
        finally:
            await publisher.close()


def departures(events: int, topic: str = INPUT) -> Iterator[Outgoing]:
    """The first departures of the year, as they go to the topic; the year again and again if more are asked for."""
    rows = flights.departures()
    while events > 0:
        yield from flights.events(rows.slice(0, min(events, len(rows))), built_in()["flights.Departure"], "avro-single-object", topic)
        events -= len(rows)


def out_of(flow: str) -> str:
    """The topic of a flow's results."""
    return f"out.{flow}"


@contextlib.contextmanager
def ground(say: Say, serve: bool = False, partitions: int = 4, more: Mapping[str, str] | None = None) -> Iterator[Ground]:
    """A ground with its model trained, in a folder and on a stack that are gone afterwards. `more`: environment of every process on it."""
    folder = Path(tempfile.mkdtemp(prefix="weft-bench-"))
    settings = Settings(project=folder / "project", data=folder / "data")
    stack = LocalStack(settings)
    try:
        if MODEL not in Catalog(FolderProject(folder / "project")).names():
            train([LEARNERS[MODEL]], folder / "project" / "models", say)
        say("starting Kafka, Redis and Ray Serve" if serve else "starting Kafka and Redis")
        stack.up(only=() if serve else ("kafka", "redis"))
        at = stack.addresses()
        LogKey.create(settings.log_key_file)
        yield Ground(folder, settings, at["bootstrap"], at["redis"], at["serve"] if serve else "", partitions, more or {})
    finally:
        stack.down()
        shutil.rmtree(folder, ignore_errors=True)
