"""What the workers of a flow say of themselves, added up."""

import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from ops.run.status import read
from streams.slot import Slot

TIMEOUT_S = 2.0
ANSWER_BYTES = 4_194_304


def fetched(port: int, path: str) -> bytes:
    """What is answered there.

    Raises:
        ValueError: it breaks off, or is too long.
        OSError: nobody answers.
    """
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=TIMEOUT_S) as answer:
        body: bytes = answer.read(ANSWER_BYTES)
        if answer.length:
            raise ValueError(f"{answer.length} bytes are left")
    return body


def ask(slot: Slot) -> Mapping[str, Any] | None:
    """The slot's /flows; None if no worker answers there."""
    port = slot.kept_port()
    if port is None:
        return None
    try:
        said = read(fetched(port, "/flows"))
    except Exception:  # one that dies ends its answer in the middle, and who takes its port may say anything
        return None
    return said if (said["flow"], said["slot"]) == (slot.flow, slot.number) else None  # else another one took the port


@dataclass(slots=True)
class Tally:
    """Rows settled since the supervisor started, by verdict, over all workers and their restarts."""

    verdicts: Counter[str] = field(default_factory=Counter)
    per_s: float = 0.0
    _seen: dict[int, tuple[int, Counter[str]]] = field(default_factory=dict)  # by slot: pid, what it said last
    _marks: list[tuple[float, int]] = field(default_factory=list)  # (when, rows) of the last seconds
    _now: Callable[[], float] = time.monotonic

    def add(self, status: Mapping[str, Any]) -> None:
        """What a worker says now; what it said before is part of it."""
        lane = status.get("lane")
        if lane is None:
            return
        pid, said = status["pid"], Counter[str](lane["verdicts"])
        before = self._seen.get(status["slot"])
        self.verdicts += said - before[1] if before is not None and before[0] == pid else said
        self._seen[status["slot"]] = pid, said

    @property
    def rows(self) -> int:
        """All of them."""
        return self.verdicts.total()

    def mark(self, window_s: float = 5.0) -> None:
        """Measure the rate."""
        now = self._now()
        self._marks = [mark for mark in self._marks if now - mark[0] <= window_s] + [(now, self.rows)]
        first = self._marks[0]
        self.per_s = (self.rows - first[1]) / (now - first[0]) if now > first[0] else 0.0


class Watching:
    """Asks all workers."""

    def __init__(self, slots: Iterable[Slot], now: Callable[[], float] = time.monotonic) -> None:
        self._slots, self._now = list(slots), now
        self._pool = ThreadPoolExecutor(len(self._slots), thread_name_prefix="ask")
        self._asked: list[Future[Mapping[str, Any] | None]] = []
        self._next_s = 0.0
        self.tally = Tally()
        self.statuses: dict[int, Mapping[str, Any]] = {}

    def looked(self, every_s: float) -> bool:
        """Whether there are news since the last call. Never waits: a worker that is busy may take a while to answer."""
        if not self._asked and self._now() >= self._next_s:
            self._next_s = self._now() + every_s
            self._asked = [self._pool.submit(ask, slot) for slot in self._slots]
        if not self._asked or not all(answer.done() for answer in self._asked):
            return False
        answers, self._asked = [answer.result() for answer in self._asked], []
        self.statuses = {slot.number: answer for slot, answer in zip(self._slots, answers, strict=True) if answer is not None}
        for status in self.statuses.values():
            self.tally.add(status)
        self.tally.mark()
        return True

    def hold(self, sources: frozenset[str]) -> bool:
        """Whether every worker is at work, and together they hold all these partitions."""
        lanes = self._lanes()
        return len(lanes) == len(self._slots) and sources <= {source for lane in lanes for source in lane["sources"]}

    def idle(self, sources: frozenset[str]) -> bool:
        """Whether they hold all these, and every one is idle."""
        return self.hold(sources) and all(lane["idle"] for lane in self._lanes())

    def reasons(self) -> Sequence[str]:
        """Why workers are not ready."""
        return sorted({reason for status in self.statuses.values() for reason in status["reasons"]})

    def _lanes(self) -> list[Mapping[str, Any]]:
        return [status["lane"] for status in self.statuses.values() if status.get("lane")]

    def close(self) -> None:
        """Ask no more."""
        self._pool.shutdown(wait=False, cancel_futures=True)
