"""A batch in flight: what was fetched, how far it is, and what it will write when it settles."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import NamedTuple

from connectors.log import Fetched, Outgoing, Records
from processors.flow.compiled import Flow
from processors.step import Batch, Signal, State
from schemas.metrics import Phase
from schemas.positions import Position, Source
from streams.ledger.block import Content
from streams.ledger.mark import Waiting
from streams.stepping import Gate, Journey, StateKey
from streams.watch import Passage


class Span(NamedTuple):
    """Offsets [first, next) of one source."""

    first: int
    next: int


@dataclass(frozen=True, slots=True)
class Group:
    """Rows that take the same steps: of one flow version, from one step on."""

    flow: Flow
    entry: int  # index of the first step
    batch: Batch


@dataclass(frozen=True, slots=True)
class Prepared:
    """What one transaction writes, but for the blocks: they need the trees as the transaction before left them."""

    outgoing: Sequence[Outgoing]
    contents: Mapping[Source, Content]
    verdicts: Mapping[tuple[str, str, str], int]  # rows by (verdict, reason, rule)
    signals: Sequence[Signal]
    passages: Sequence[Passage] = ()  # of traced events


@dataclass(eq=False, slots=True)
class Work:
    """One fetch on its way to one transaction. A rebalance or a failed transaction makes it `void`: its rows are read again."""

    fetched_ms: int
    records: Sequence[Records]
    spans: dict[Source, Span]
    size_bytes: int
    resumed: Mapping[Source, Waiting]  # rows that are tried again in place (order: key)
    previous: "Work | None" = None
    groups: list[Group] = field(default_factory=list)
    journeys: list[Journey] = field(default_factory=list)  # rows whose fate is known without a step are there from the start
    extra: list[Outgoing] = field(default_factory=list)  # tombstones of reviews, generations
    closes: list[tuple[int, str]] = field(default_factory=list)  # (partition, review)
    starts: list[tuple[Position, int]] = field(default_factory=list)  # (root, generation) of redrives
    waiting: dict[Source, Waiting] = field(default_factory=dict)  # rows that must wait in place now (order: key)
    states: dict[StateKey, State] = field(default_factory=dict)
    passed: dict[int, asyncio.Event] = field(default_factory=dict)
    entered_s: float = 0.0  # when it was fetched, by the loop's clock
    stepped_s: float = 0.0  # how long after that it was ready
    prepared: Prepared | None = None
    phases: dict[Phase, float] = field(default_factory=dict)  # seconds
    admitted: asyncio.Event = field(default_factory=asyncio.Event)
    ready: asyncio.Event = field(default_factory=asyncio.Event)  # prepared, or void
    task: asyncio.Task[None] | None = None
    void: bool = False

    @property
    def rows(self) -> int:
        """How many records it has."""
        return sum(map(len, self.records))

    def oldest_ms(self) -> int:
        """The earliest time stamp of its records; one that has none was fetched just now."""
        return min(int(part.timestamps_ms[part.timestamps_ms > 0].min(initial=self.fetched_ms)) for part in self.records)

    @contextmanager
    def taking(self, phase: Phase) -> Iterator[None]:
        """Whatever is done in here belongs to the phase."""
        began = perf_counter()
        yield
        self.phases[phase] = self.phases.get(phase, 0.0) + perf_counter() - began

    def passed_event(self, index: int) -> asyncio.Event:
        """Set when this batch has left the step."""
        return self.passed.setdefault(index, asyncio.Event())

    def is_ready(self) -> None:
        """This batch holds no step any more, and can be settled."""
        if not self.ready.is_set():
            self.stepped_s = asyncio.get_running_loop().time() - self.entered_s
        self.ready.set()
        for event in (self.admitted, *self.passed.values()):
            event.set()

    def drop(self) -> None:
        """Nothing of this will be settled."""
        self.void = True
        if self.task is not None:
            self.task.cancel()
        self.is_ready()


class Turn(Gate):
    """A batch's turn at the steps with state, after the batch before. One that takes several ways lets the next in when all are through."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._one_way = len(work.groups) == 1

    async def enter(self, index: int) -> None:
        """Wait until each batch before has left the step or is ready; one without rows for the step is ready before those before it."""
        previous = self._work.previous
        while previous is not None:
            if not previous.ready.is_set():
                await previous.passed_event(index).wait()
            previous = previous.previous

    def leave(self, index: int) -> None:
        """Let the batch behind in."""
        if self._one_way:
            self._work.passed_event(index).set()


def work_of(fetched: Fetched, waiting: Mapping[Source, Waiting], now_ms: int) -> Work | None:
    """The work that a fetch brought; None if it brought no record. `waiting`: rows that are tried again in place."""
    records = [part for part in fetched.records if len(part)]
    if not records:
        return None
    spans = {part.source: Span(int(part.offsets[0]), int(part.offsets[-1]) + 1) for part in records}
    size = sum(sum(map(len, filter(None, column))) for part in records for column in (part.values, part.keys))
    return Work(now_ms, records, spans, size, {source: waits for source, waits in waiting.items() if source in spans})
