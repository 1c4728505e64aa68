"""Who races: Weft's worker as it ships, and a loop written by hand. Each is a process of its own with a fresh group."""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from connectors.kafka.admin import KafkaAdmin, Topic
from ops.bench import handmade
from ops.bench.ground import IN_PROCESS, INPUT, Ground
from schemas.errors import UsageError


class Contender(Protocol):
    """One that does the job. Every round it starts under a new name, its consumer group too."""

    @property
    def title(self) -> str:
        """As it is told."""

    @property
    def served(self) -> bool:
        """Whether it asks its model on Ray Serve."""

    async def prepare(self, ground: Ground, group: str) -> None:
        """Make what it needs on the ground, before its time is taken."""

    def start(self, ground: Ground, group: str) -> subprocess.Popen[bytes]:
        """Run it; its log has the group's name."""


@dataclass(frozen=True, slots=True)
class Handmade:
    """The loop of handmade.py."""

    title: str = "hand-written loop"
    served: bool = False

    async def prepare(self, ground: Ground, group: str) -> None:
        """See Contender."""
        del group
        await KafkaAdmin(ground.kafka).create([Topic(name, ground.partitions) for name in (handmade.OUT, handmade.DEAD, handmade.AUDIT)])

    def start(self, ground: Ground, group: str) -> subprocess.Popen[bytes]:
        """See Contender."""
        told = {
            "--bootstrap": ground.bootstrap,
            "--redis": ground.redis,
            "--topic": INPUT,
            "--schemas": str(Path(__file__).parents[2] / "schemas" / "avro"),
            "--group": group,
        }
        return ground.start(group, [sys.executable, "-m", "ops.bench.handmade", *(word for pair in told.items() for word in pair)])


@dataclass(frozen=True, slots=True)
class Weft:
    """One worker of the flow departure-delays. Its small model is in the worker itself, so without the call to Serve, or on Serve."""

    title: str
    served: bool = False
    more: Sequence[str] = ()  # what the worker is told besides

    async def prepare(self, ground: Ground, group: str) -> None:
        """See Contender."""
        await ground.apply(group)

    def start(self, ground: Ground, group: str) -> subprocess.Popen[bytes]:
        """See Contender."""
        return ground.worker(group, *self.more, serve=ground.serve if self.served else IN_PROCESS)


LOOP = "loop"
CONTENDERS: Mapping[str, Contender] = {
    LOOP: Handmade(),
    "weft": Weft("Weft"),
    "weft-serve": Weft("Weft, with Serve", served=True),
    "weft-unmeasured": Weft("Weft, unmeasured", more=["--unmeasured"]),
}
"""Everyone by the name that `--only` takes."""

USUAL = (LOOP, "weft")


def chosen(names: Sequence[str]) -> Mapping[str, Contender]:
    """These, in the order in which they are named.

    Raises:
        UsageError: there is none of that name.
    """
    for name in names:
        if name not in CONTENDERS:
            raise UsageError(f"There is no contender {name!r}.", f"There are: {', '.join(CONTENDERS)}.")
    return {name: CONTENDERS[name] for name in names}
