"""A part of the local stack, as the stack sees it: implement this to add one, and name it in `ops.stack.local.PARTS`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ops.stack.daemon import Daemon

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""


@dataclass(frozen=True, slots=True)
class Site:
    """Where a part lives: it writes below `folder`/<its name> and listens on its `ports`, on 127.0.0.1."""

    folder: Path
    cache: Path
    project: Path
    ports: Mapping[str, int]
    java: str | None = None


class Part(Protocol):
    """One service with its processes. Built with a Site; building it does nothing."""

    name: str  # as the user types it
    title: str  # what it is, for a person
    port_names: tuple[str, ...]  # the ports it needs, each chosen once and kept
    daemon: Daemon  # its process
    log_file: Path  # where it says what it does
    start_s: float  # how long it may take until it is healthy
    grace_s: float  # how long it may take to end

    def __init__(self, site: Site) -> None:
        """Remember where; touch nothing yet."""

    @property
    def addresses(self) -> Mapping[str, str]:
        """Under which names others find it (`bootstrap`, `redis`, `serve` override nothing but fill the settings)."""

    def prepare(self, progress: Progress) -> None:
        """Fetch what it needs and lay out its folder; done again it changes nothing.

        Raises:
            WeftError: something is missing; what, and what to do.
        """

    def start(self) -> None:
        """Start its process and return at once."""

    def healthy(self) -> bool:
        """Whether it answers now. Never raises, and takes at most a second."""

    def stop(self) -> None:
        """End every process of it; none running is no error."""
