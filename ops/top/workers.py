"""The workers of the flows that run from a data folder: where they answer, and what they say. One that is gone says nothing."""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from ops.run.held import holder
from ops.run.runs import runs
from ops.run.watching import ask, fetched
from ops.top.exposition import Samples, parse
from schemas.errors import UsageError
from streams.slot import Slot


@dataclass(frozen=True, slots=True)
class Said:
    """What one worker said; nothing where it does not answer."""

    slot: Slot
    status: Mapping[str, Any] | None
    samples: Samples = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Look:
    """All of them at one moment."""

    at_s: float  # of a clock that only runs on
    workers: Sequence[Said]


def slots(data: Path, flow: str | None = None) -> Sequence[Slot]:
    """The slots of the flow's run, or of every flow's that runs now or was killed; those that have ended in order are left out.

    Raises:
        UsageError: it was never run from here.
    """
    names = [flow] if flow is not None else [run.flow for run in runs(data)]
    found = []
    for name in names:
        held = holder(data, name)
        if held is None and flow is not None:
            raise UsageError(f"{flow} was never run from {data}", f"run: weft run {flow}")
        if held is not None and (held.ended is None or flow is not None):
            found += [Slot(name, number, held.workers, data) for number in range(held.workers)]
    return found


class Workers:
    """Asks them all at once."""

    def __init__(self, data: Path, flow: str | None, now: Callable[[], float] = time.monotonic) -> None:
        self._data, self._flow, self._now = data, flow, now
        self._pool = ThreadPoolExecutor(32, thread_name_prefix="top")

    def look(self) -> Look:
        """What they say now. Never raises for a worker that has gone, or is just going."""
        return Look(self._now(), list(self._pool.map(_asked, slots(self._data, self._flow))))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)


def _asked(slot: Slot) -> Said:
    try:
        status = ask(slot)
        if status is None:
            return Said(slot, None)
        return Said(slot, status, parse(fetched(slot.kept_port() or 0, "/metrics").decode("utf-8", "replace")))
    except Exception:  # gone, just going, or another program has its port
        return Said(slot, None)
