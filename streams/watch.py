"""What a lane tells whoever watches it: counts, times and positions, never the data. The worker turns them into metrics and spans."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from processors.step import Reading, Signal
from schemas.metrics import Phase
from schemas.positions import Position, Source
from schemas.tracing import Trace
from schemas.vocabulary import Verdict


class Call(NamedTuple):
    """One call of a model, about all rows of a batch that a step asked for."""

    model: str  # name; name@version where it answered
    rows: int
    began_s: float  # perf_counter
    seconds: float
    outcome: str  # answered, failed or unreachable
    trace: Trace | None = None  # of the traced event under whose name it was made


class Timing(NamedTuple):
    """One run of one step."""

    step: str
    at: int  # index of the step in its flow
    rows: int
    began_s: float  # perf_counter
    seconds: float
    counts: Mapping[str, float]
    readings: Sequence[Reading] = ()
    calls: Sequence[Call] = ()


class Passage(NamedTuple):
    """One pass of one traced event, from its fetch to its commit."""

    trace: Trace
    flow: str  # name@version
    root: Position
    position: Position  # consumed
    generation: int
    number: int  # of the pass
    verdict: Verdict
    reason: str
    topic: str  # that its outcome was written to; "" if the verdict has no record
    timings: Sequence[Timing]  # of the steps that it went through


@dataclass(frozen=True, slots=True)
class Settled:
    """A batch whose transaction has committed."""

    verdicts: Mapping[tuple[str, str, str], int]  # rows by (verdict, reason, rule)
    in_place: int  # rows that will be tried again where they are
    fetched_ms: int  # when, since 1970
    oldest_ms: int  # time stamp of its oldest record
    began_s: float  # of the transaction; perf_counter
    seconds: float
    timings: Sequence[Timing]
    passages: Sequence[Passage]
    phases: Mapping[Phase, float]  # seconds

    @property
    def rows(self) -> int:
        """How many."""
        return sum(self.verdicts.values())


class Watch(Protocol):
    """Hears what happened, after it happened; must not raise or wait."""

    def settled(self, batch: Settled) -> None:
        """A transaction committed."""

    def asked(self, call: Call) -> None:
        """A model was asked, whatever became of the batch."""

    def signalled(self, signals: Sequence[Signal]) -> None:
        """Alerts of a committed batch."""

    def failed(self, what: str) -> None:
        """A transaction was aborted or a port was down: the error's class and sentence."""

    def owns(self, sources: Sequence[Source]) -> None:
        """The partitions held now."""


class Watches:
    """Several, as one."""

    def __init__(self, *watches: Watch) -> None:
        self._watches = watches

    def settled(self, batch: Settled) -> None:
        """Pass it on."""
        for watch in self._watches:
            watch.settled(batch)

    def asked(self, call: Call) -> None:
        """Pass it on."""
        for watch in self._watches:
            watch.asked(call)

    def signalled(self, signals: Sequence[Signal]) -> None:
        """Pass it on."""
        for watch in self._watches:
            watch.signalled(signals)

    def failed(self, what: str) -> None:
        """Pass it on."""
        for watch in self._watches:
            watch.failed(what)

    def owns(self, sources: Sequence[Source]) -> None:
        """Pass it on."""
        for watch in self._watches:
            watch.owns(sources)


class NoWatch:
    """Nobody watches."""

    def settled(self, batch: Settled) -> None:
        """Nothing."""

    def asked(self, call: Call) -> None:
        """Nothing."""

    def signalled(self, signals: Sequence[Signal]) -> None:
        """Nothing."""

    def failed(self, what: str) -> None:
        """Nothing."""

    def owns(self, sources: Sequence[Source]) -> None:
        """Nothing."""


UNWATCHED = NoWatch()
