"""Who races: Weft's worker as it ships, and a loop written by hand. Each is a process of its own with a fresh group."""

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from connectors.kafka.admin import Topic
from ops.bench import handmade
from schemas.errors import FailedError

INPUT = "bench.departures"
PARTITIONS = 4
IN_PROCESS = "in-process"


@dataclass(frozen=True, slots=True)
class Course:
    """Where a race is run."""

    bootstrap: str
    redis: str
    serve: str  # host:port of the model server; "" where the race is run without
    folder: Path  # of this run: project, data, logs

    def start(self, name: str, arguments: Sequence[str], serve: str = IN_PROCESS) -> subprocess.Popen[bytes]:
        """A process, its output in a log of its own. `serve`: who answers for the models."""
        environment = {
            **os.environ,
            "WEFT_PROJECT": str(self.folder / "project"),
            "WEFT_DATA": str(self.folder / "data"),
            "WEFT_BOOTSTRAP": self.bootstrap,
            "WEFT_REDIS": self.redis,
            "WEFT_SERVE": serve,
        }
        log = (self.folder / f"{name}.log").open("wb")
        return subprocess.Popen([sys.executable, "-m", *arguments], env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def said(self, name: str) -> str:
        """The end of a process's log."""
        return (self.folder / f"{name}.log").read_text(errors="replace")[-2_000:]


@dataclass(frozen=True, slots=True)
class Handmade:
    """The loop of handmade.py."""

    name: str = "hand-written loop"

    def group(self, turn: int) -> str:
        """Its consumer group in that round."""
        return f"{handmade.FLOW}-{turn}"

    def topics(self, turn: int) -> Sequence[Topic]:
        """What it writes to."""
        return [Topic(name, PARTITIONS) for name in (handmade.OUT, handmade.DEAD, handmade.AUDIT)]

    def start(self, course: Course, turn: int) -> subprocess.Popen[bytes]:
        """Run it."""
        schemas = Path(__file__).parents[2] / "schemas" / "avro"
        told = [
            "--bootstrap",
            course.bootstrap,
            "--redis",
            course.redis,
            "--topic",
            INPUT,
            "--schemas",
            str(schemas),
            "--group",
            self.group(turn),
        ]
        return course.start(self.group(turn), ["ops.bench.handmade", *told])


@dataclass(frozen=True, slots=True)
class Weft:
    """One worker of the flow departure-delays. Its small model is in the worker itself, so without the call to Serve, or on Serve."""

    served: bool = False
    measured: bool = True  # with metrics and spans, as it ships

    @property
    def name(self) -> str:
        """As it is told."""
        return "Weft" + (", with Serve" if self.served else "") + ("" if self.measured else ", unmeasured")

    def group(self, turn: int) -> str:
        """Its consumer group in that round: the flow's name."""
        return f"bench-{'served' if self.served else 'weft' if self.measured else 'unmeasured'}-{turn}"

    def flow_file(self, turn: int, shipped: str) -> str:
        """The shipped flow under this round's name and topics, asking the small model first."""
        changes = {
            "flow: departure-delays": f"flow: {self.group(turn)}",
            "topic: flights.departures": f"topic: {INPUT}",
            "topic: flights.delay-decisions": f"topic: out.{self.group(turn)}",
            "model: arrival-delay, route": "model: arrival-delay-lite, route",
            "fallback: [{model: arrival-delay-lite}, ": "fallback: [",
        }
        for old, new in changes.items():
            if old not in shipped:
                raise FailedError(f"the shipped flow does not say {old!r} any more", "bring ops/bench/contenders.py up to date")
            shipped = shipped.replace(old, new)
        return shipped

    def start(self, course: Course, turn: int) -> subprocess.Popen[bytes]:
        """Run it."""
        worker = ["streams.worker", "--flow", self.group(turn), "--slot", "0", "--of", "1", *([] if self.measured else ["--unmeasured"])]
        return course.start(self.group(turn), worker, course.serve if self.served else IN_PROCESS)
