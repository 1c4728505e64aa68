"""A batch in flight: what was fetched, how far it is, and what it will write when it settles."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from connectors.log import Commit, Fetched, Outgoing, Records
from processors.flow.compiled import Flow
from processors.step import Batch, Signal, State
from schemas.positions import Source
from streams.ledger.tree import Tree
from streams.stepping import Gate, Journey, StateKey


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
    """All that one transaction writes."""

    outgoing: Sequence[Outgoing]
    blocks: Mapping[Source, Sequence[bytes]]
    trees: Mapping[Source, Tree]  # as they will be, but for last_block
    verdicts: Mapping[tuple[str, str, str], int]
    signals: Sequence[Signal]


@dataclass(eq=False, slots=True)
class Work:
    """One fetch on its way to one transaction. `epoch` is the lane's when it was fetched; another one now means that this work is void."""

    epoch: int
    fetched_ms: int
    records: Sequence[Records]
    spans: dict[Source, Span]
    size_bytes: int
    previous: "Work | None" = None
    groups: list[Group] = field(default_factory=list)
    journeys: list[Journey] = field(default_factory=list)  # rows whose fate is known without a step are there from the start
    extra: list[Outgoing] = field(default_factory=list)  # tombstones of reviews, generations
    states: dict[StateKey, State] = field(default_factory=dict)
    passed: dict[int, asyncio.Event] = field(default_factory=dict)
    prepared: Prepared | None = None
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None
    void: bool = False

    def event(self, index: int) -> asyncio.Event:
        """Set when this batch has left the step."""
        return self.passed.setdefault(index, asyncio.Event())

    def let_all_pass(self) -> None:
        """This batch holds no step any more."""
        for event in self.passed.values():
            event.set()

    def drop(self) -> None:
        """Nothing of this will be settled."""
        self.void = True
        if self.task is not None:
            self.task.cancel()
        self.ready.set()


class Turn(Gate):
    """A batch's turn at the steps with state: after the batch before it, whichever steps that one takes."""

    def __init__(self, work: Work) -> None:
        self._work = work

    async def enter(self, index: int) -> None:
        """Wait until the batch before has left the step or is ready."""
        previous = self._work.previous
        if previous is not None and not previous.ready.is_set():
            await previous.event(index).wait()

    def leave(self, index: int) -> None:
        """Let the batch behind in."""
        self._work.event(index).set()


def work_of(fetched: Fetched, epoch: int, now_ms: int) -> Work | None:
    """The work that a fetch brought; None if it brought no record."""
    records = [part for part in fetched.records if len(part)]
    if not records:
        return None
    spans = {part.source: Span(int(part.offsets[0]), int(part.offsets[-1]) + 1) for part in records}
    size = sum(len(value) for part in records for value in part.values if value is not None)
    return Work(epoch, now_ms, records, spans, size)


def commits(work: Work, trees: Mapping[Source, Tree], metadata: Mapping[Source, str]) -> list[Commit]:
    """The offsets of the work's sources; every tree that it extends is among them, so that the group fences it."""
    return [Commit(source, span.next, metadata[source]) for source, span in work.spans.items()]
