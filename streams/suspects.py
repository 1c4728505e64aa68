"""Finds the events that end a worker: what a step is at is written down before it begins, so that the next worker of the slot knows.

A step that never comes back, eats all memory or ends the process can't be caught as an exception. After two such ends at one place (one,
where the worker itself could say why) the step gets those rows in pieces, a thirty-second each; where it ends again it gets that piece in
pieces, until one row stands alone. Three ends with it alone (or one that was told) condemn it: it is a dead letter, and the step does not
see it again. docs/decisions/11-events-that-end-a-worker.md says why so.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from processors.step import Batch, Rows
from schemas.errors import FatalError
from schemas.positions import Position, Source
from streams.stepping import Guard
from streams.work import Span

PIECES = 32
CUT, CONDEMN = 2, 3
"""What ends at one place must come to: before its rows are cut into pieces; with one row alone, before that is condemned."""
KILLED, EXHAUSTED, HUNG = 1, 2, 3
"""What one end counts: somebody else may have killed the process; another batch may have taken the memory; a row that hangs alone is it."""

Place = Mapping[Source, Span]


@dataclass(eq=False, slots=True)
class Running:
    """What a step is at."""

    step: str
    place: Place
    rows: int
    seconds: float = 0.0  # that it has taken so far, as far as the process was at work; kept by whoever watches

    def __str__(self) -> str:
        what = "1 event" if self.rows == 1 else f"{self.rows:,} events"
        return f"step {self.step} with {what} ({_named(self.place)})"


@dataclass(frozen=True, slots=True)
class Suspect:
    """A place at which workers have ended."""

    step: str
    place: Place
    rows: int
    ends: int  # what they count
    alone: int = 0  # those with one row alone

    def holds(self, step: str, source: Source, offset: int) -> bool:
        """Whether it is about this record."""
        span = self.place.get(source)
        return step == self.step and span is not None and span.first <= offset < span.next


@dataclass
class Suspects(Guard):
    """What a slot knows. Every change is written at once, in one line: what the kernel was given outlives the process."""

    file: Path
    suspects: list[Suspect] = field(default_factory=list)
    condemned: dict[tuple[str, Position], str] = field(default_factory=dict)  # (step, position) -> why
    running: list[Running] = field(default_factory=list)
    story: str = ""  # how the worker before ended, if in a step
    told: int = KILLED
    _over: bool = False  # what is written now is what stays
    _spanned: tuple[Rows, Place] | None = None  # the rows that were asked about last, and their spans

    def __post_init__(self) -> None:
        self._alone = asyncio.Lock()
        self._written = -1
        with suppress(OSError):  # a full disk: then nothing is written, and nobody is held up
            self.file.parent.mkdir(parents=True, exist_ok=True)
            self._written = os.open(self.file, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)

    @classmethod
    def of(cls, file: Path, hung: bool = False) -> "Suspects":
        """What the workers before left in the file. `hung`: the last one was ended since it did not come back."""
        found = cls(file)
        with suppress(OSError, ValueError, KeyError, TypeError):
            said = orjson.loads(file.read_bytes().partition(b"\n")[0])
            found.suspects = [
                Suspect(one["step"], _place(one["place"]), one["rows"], one["ends"], one["alone"]) for one in said["suspects"]
            ]
            found.condemned = {(one["step"], Position.parse(one["at"])): one["why"] for one in said["condemned"]}
            ended = [Running(one["step"], _place(one["place"]), one["rows"]) for one in said["running"]]
            found._learn(ended, HUNG if hung and len(ended) == 1 else said["told"])
        found._write()
        return found

    def pieces(self, step: str, batch: Batch) -> list[Rows]:
        """The batch's rows as a step gets them, in order: suspected ones a few at a time."""
        cut = [suspect for suspect in self.suspects if suspect.step == step and suspect.ends >= CUT]
        whole = np.arange(len(batch), dtype=np.int64)
        if not cut:
            return [whole]
        marked = np.fromiter((any(one.holds(step, *place) for one in cut) for place in _places(batch)), np.bool_, len(batch))
        size = max(1, -(-int(marked.sum()) // PIECES))
        nth = np.cumsum(marked) - 1
        group = np.where(marked, nth // size, -1)
        return np.split(whole, np.flatnonzero(np.diff(group)) + 1)

    def doomed(self, step: str, batch: Batch) -> Mapping[int, str]:
        """The rows that the step does not see again, and why."""
        if not self.condemned:
            return {}
        places = (Position(*source, offset) for source, offset in _places(batch))
        return {row: why for row, place in enumerate(places) if (why := self.condemned.get((step, place))) is not None}

    @asynccontextmanager
    async def at(self, step: str, batch: Batch) -> AsyncIterator[None]:
        """While the step is at it; alone, as long as there are suspects: else it can't be told which of two ended the process."""
        async with self._alone if any(suspect.ends >= CUT for suspect in self.suspects) else nullcontext():
            entry = Running(step, self._spans_of(batch), len(batch))
            self.running.append(entry)
            self._write()
            try:
                yield
                self._passed(entry)
            finally:
                self.running.remove(entry)
                self._write()

    def exhausted(self, step: str, batch: Batch) -> FatalError:
        """One row alone takes more memory than there is: the next worker must know, and tries it once more with all of its own."""
        entry = Running(step, _spans(batch), 1)
        self.end([entry], EXHAUSTED)
        return FatalError(f"{entry} takes more memory than a worker may have", "worker_memory bounds it; the next worker tries again")

    def end(self, running: Sequence[Running], told: int) -> None:
        """The process ends by these, or by none; nothing that happens on the way out is written any more."""
        if not self._over:
            self._over, self.told = True, told
            self._put(running)

    def settled(self, spans: Mapping[Source, tuple[int, int]]) -> None:
        """As the guard says: condemned events may be forgotten."""
        if self.condemned:
            self.condemned = {key: why for key, why in self.condemned.items() if not _within(key[1], spans)}
            self._write()

    def _spans_of(self, batch: Batch) -> Place:
        """Most steps get the rows that the one before got."""
        if self._spanned is None or self._spanned[0] is not batch.origin:
            self._spanned = batch.origin, _spans(batch)
        return self._spanned[1]

    def _learn(self, ended: list[Running], counts: int) -> None:
        """What the end of the worker before says."""
        before, self.suspects = self.suspects, self.suspects if not ended else []
        for one in ended:
            known = next((old for old in before if old.step == one.step and _overlap(old.place, one.place)), None)
            alone = (known.alone if known is not None and known.rows == 1 else 0) + counts if one.rows == 1 else 0
            suspect = Suspect(one.step, one.place, one.rows, (known.ends if known else 0) + counts, alone)
            if alone >= CONDEMN:
                source, span = next(iter(one.place.items()))
                self.condemned[one.step, Position(*source, span.first)] = f"workers end at {one}; the last one {_HOW[counts]}"
            else:
                self.suspects.append(suspect)
        if ended:
            self.story = f"the worker before {_HOW[counts]} in {' and '.join(map(str, ended))}"

    def _passed(self, entry: Running) -> None:
        """Who comes through is none of the suspects; when the last rows of a place are through, it was none."""
        if self.suspects:
            left = [one if one.step != entry.step else replace(one, place=_left(one.place, entry.place)) for one in self.suspects]
            self.suspects = [one for one in left if one.place]

    def _write(self) -> None:
        if not self._over:
            self._put(self.running)

    def _put(self, running: Sequence[Running]) -> None:
        said: dict[str, Any] = {
            "told": self.told,
            "running": [_said(one) for one in running],
            "suspects": [_said(one) | {"ends": one.ends, "alone": one.alone} for one in self.suspects],
            "condemned": [{"step": step, "at": str(place), "why": why} for (step, place), why in self.condemned.items()],
        }
        with suppress(OSError):
            os.pwrite(self._written, orjson.dumps(said) + b"\n", 0)


_HOW = {KILLED: "was ended from outside or by its own code", EXHAUSTED: "had no memory left", HUNG: "did not come back"}


def _places(batch: Batch) -> Iterator[tuple[Source, int]]:
    """Where each row was consumed."""
    intake, rows = batch.intake, batch.origin
    pairs = zip(intake.source[rows].tolist(), intake.offset[rows].tolist(), strict=True)
    return ((intake.sources[source], offset) for source, offset in pairs)


def _spans(batch: Batch) -> Place:
    """From the first row of each source to behind its last."""
    sources, offsets = batch.intake.source[batch.origin], batch.intake.offset[batch.origin]
    found = {}
    for index, source in enumerate(batch.intake.sources):
        mine = offsets[sources == index]
        if len(mine):
            found[source] = Span(int(mine.min()), int(mine.max()) + 1)
    return found


def _overlap(one: Place, other: Place) -> bool:
    return any(source in other and span.first < other[source].next and other[source].first < span.next for source, span in one.items())


def _left(place: Place, passed: Place) -> Place:
    """Where not the last rows have come through."""
    return {
        source: span
        for source, span in place.items()
        if source not in passed or not passed[source].first < span.next <= passed[source].next
    }


def _within(position: Position, spans: Mapping[Source, tuple[int, int]]) -> bool:
    first, behind = spans.get(position.source, (0, 0))
    return first <= position.offset < behind


def _named(place: Place) -> str:
    """For people: the first offset of each source, and the last."""
    lasts = {source: f"-{span.next - 1}" if span.next - span.first > 1 else "" for source, span in place.items()}
    return ", ".join(f"{source}/{span.first}{lasts[source]}" for source, span in place.items())


def _said(one: Running | Suspect) -> dict[str, Any]:
    return {"step": one.step, "place": [[*source, *span] for source, span in one.place.items()], "rows": one.rows}


def _place(said: list[list[Any]]) -> Place:
    return {Source(topic, partition): Span(first, behind) for topic, partition, first, behind in said}
