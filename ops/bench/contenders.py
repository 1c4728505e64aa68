"""Who does the job: Weft, loops written by hand, and other frameworks. Each is one process, with a new name whenever it starts anew."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import psutil

from connectors.kafka.admin import KafkaAdmin, Topic
from ops.bench.environments import ROOT, python_of
from ops.bench.ground import IN_PROCESS, INPUT, Ground, Say, out_of
from ops.bench.peers.job import topics
from processors.flow.project import BUILT_IN
from schemas.errors import UsageError

Guarantee = Literal["exactly once", "at least once"]

STAMPED = {"message.timestamp.type": "LogAppendTime"}  # the broker writes when it got a record: nobody need watch


@dataclass(frozen=True, slots=True)
class Peer:
    """A file of ops/bench/peers; the hand-written loop, if nothing else is said."""

    title: str = "hand-written loop, row by row"
    file: str = "loop"
    guarantee: Guarantee = "exactly once"
    environment: str = ""  # whose Python it is run by; "": Weft's, which has the same libraries
    way: str = ""
    slow: bool = False  # it gets a fifth of the events
    topic: str = INPUT
    slot: int = 0  # which of the group's processes
    more: Sequence[str] = ()  # what it is told besides
    served: bool = False

    def ready(self, say: Say) -> None:
        """Make the environment.

        Raises:
            FailedError: it can't be had on this machine.
        """
        if self.environment:
            python_of(self.environment, say)

    async def prepare(self, ground: Ground, group: str) -> Sequence[str]:
        """Make its topics; those of its outcomes, whose records the broker stamps."""
        names = topics(group)
        await KafkaAdmin(ground.kafka).create([Topic(name, ground.partitions, STAMPED) for name in names])
        (ground.folder / group).mkdir()
        return names[:2]

    def start(self, ground: Ground, group: str) -> subprocess.Popen[bytes]:
        """Run it; its log has the group's name."""
        python = str(python_of(self.environment, print)) if self.environment else sys.executable
        told = {
            "--bootstrap": ground.bootstrap,
            "--redis": ground.redis,
            "--topic": self.topic,
            "--group": group,
            "--slot": str(self.slot),
            "--schemas": str(BUILT_IN["schemas"]),
            "--folder": str(ground.folder / group),
            "--way": self.way,
        }
        words = (word for pair in told.items() for word in pair)
        return ground.start(group, [python, "-m", f"ops.bench.peers.{self.file}", *words, *self.more], folder=ROOT)

    def supervised(self, ground: Ground, group: str) -> subprocess.Popen[bytes] | None:
        """None: it has no supervisor."""


@dataclass(frozen=True, slots=True)
class Weft:
    """One worker of the flow departure-delays. Its small model is in the worker itself, so without the call to Serve, or on Serve."""

    title: str
    guarantee: Guarantee = "exactly once"
    served: bool = False
    topic: str = INPUT
    slot: int = 0
    of: int = 1
    more: Sequence[str] = ()  # what the worker is told besides: its supervisor can't tell it
    slow: bool = False

    def ready(self, say: Say) -> None:
        """It is here."""

    async def prepare(self, ground: Ground, group: str) -> Sequence[str]:
        """Apply the flow; the topics of its outcomes, whose records the broker stamps."""
        await ground.apply(group, self.topic)
        names = [out_of(group), *(f"{group}.{kind}" for kind in ("dead-letters", "quarantine", "reviews"))]
        for name in names:
            await KafkaAdmin(ground.kafka).alter(name, STAMPED)
        return names

    def start(self, ground: Ground, group: str) -> subprocess.Popen[bytes]:
        """Run it; its log has the group's name."""
        return ground.worker(group, *self.more, serve=ground.serve if self.served else IN_PROCESS, slot=self.slot, of=self.of)

    def supervised(self, ground: Ground, group: str) -> subprocess.Popen[bytes] | None:
        """`weft run`, which starts the worker again; None where it can't say what the worker must be told."""
        if self.more:
            return None
        serve = ground.serve if self.served else IN_PROCESS
        return ground.start(group, [sys.executable, "-m", "ops.cli", "run", group, "--workers", "1"], serve)


def worker_of(supervisor: subprocess.Popen[bytes]) -> psutil.Process | None:
    """The worker that a supervisor has started: it leads a session. None if there is none now."""
    for child in psutil.Process(supervisor.pid).children(recursive=True):
        try:
            if os.getsid(child.pid) == child.pid:
                return child
        except ProcessLookupError:
            continue
    return None


Contender = Peer | Weft

LOOP = "loop"
EXACTLY: Guarantee = "exactly once"
AT_LEAST: Guarantee = "at least once"
CONTENDERS: Mapping[str, Contender] = {
    LOOP: Peer(),
    "columnar": Peer("expert's loop on columns", "columnar", EXACTLY),
    "weft": Weft("Weft"),
    "weft-at-least-once": Weft("Weft without transactions", AT_LEAST, more=["--at-least-once"]),
    "faust": Peer("Faust, event by event", "with_faust", AT_LEAST, "faust", slow=True),
    "faust-take": Peer("Faust, take", "with_faust", AT_LEAST, "faust", "take", slow=True),
    "quix": Peer("Quix Streams, event by event", "with_quix", AT_LEAST, "quix", AT_LEAST.replace(" ", "-"), slow=True),
    "quix-exactly-once": Peer("Quix Streams, exactly once", "with_quix", EXACTLY, "quix", EXACTLY.replace(" ", "-"), slow=True),
    "bytewax": Peer("Bytewax, event by event", "with_bytewax", AT_LEAST, "bytewax", slow=True),
    "bytewax-batched": Peer("Bytewax, flat_map_batch", "with_bytewax", AT_LEAST, "bytewax", "batched"),
    "weft-serve": Weft("Weft, the model on Ray Serve", served=True),
    "weft-unmeasured": Weft("Weft without metrics and spans", more=["--unmeasured"]),
}
"""Everyone by the name that `--only` takes."""

USUAL = tuple(name for name in CONTENDERS if name not in ("weft-serve", "weft-unmeasured"))


def chosen(names: Sequence[str]) -> Mapping[str, Contender]:
    """These, in the order in which they are named.

    Raises:
        UsageError: there is none of that name.
    """
    for name in names:
        if name not in CONTENDERS:
            raise UsageError(f"There is no contender {name!r}.", f"There are: {', '.join(CONTENDERS)}.")
    return {name: CONTENDERS[name] for name in names}
