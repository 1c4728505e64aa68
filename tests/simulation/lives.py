"""What has become of each event, as the committed leaves say it, one after the other: every step of its life must follow from the last."""

from collections import Counter
from dataclasses import dataclass, field

from connectors.memory.partition import Entry
from schemas import decision, pending
from schemas.decision import Action, Decision
from schemas.pending import Pending
from schemas.positions import Position
from schemas.vocabulary import Reason, Verdict
from streams.ledger.leaf import Leaf
from tests.simulation.events import LIMITS, TOPICS, Kind
from tests.simulation.laws import BrokenError, Law

SLACK_MS = 1


@dataclass(slots=True)
class Life:
    """Of one event and generation."""

    number: int  # of the last pass
    verdict: Verdict
    aside: bool  # it has waited for a person, or was redriven: it is out of the order of its key


@dataclass(slots=True)
class Review:
    """One that is open."""

    root: Position
    generation: int
    offset: int
    waits: Pending


@dataclass(slots=True)
class Lives:
    """All events. `skew_ms` is how far the clocks of two workers were apart at most."""

    kinds: dict[int, Kind]
    ordered: bool
    lives: dict[tuple[Position, int], Life] = field(default_factory=dict)
    reviews: dict[str, Review] = field(default_factory=dict)
    last: dict[Position, int] = field(default_factory=dict)  # generation
    numbers: dict[Position, int] = field(default_factory=dict)
    letters: dict[tuple[Position, int], Entry] = field(default_factory=dict)
    firsts: Counter[int] = field(default_factory=Counter)  # events of a number that were no duplicate
    forged: set[Position] = field(default_factory=set)  # redriven though they were no dead letter: no command of Weft asks that
    skew_ms: int = 0

    def open(self) -> int:
        """How many have not ended."""
        return sum(not life.verdict.terminal for life in self.lives.values())

    def step(self, leaf: Leaf, entry: Entry, now_ms: int) -> None:
        """One more pass has committed."""
        verdict = Verdict(leaf.verdict)
        if verdict.void:
            self._void(leaf, entry, now_ms)
            return
        life = self._lived(leaf, entry, now_ms)
        if life is not None and life.verdict.terminal:
            raise BrokenError(Law.ONE_END, f"{leaf.root} had ended as {life.verdict} and ends again as {verdict}, at {leaf.position}")
        number = 0 if life is None else life.number + 1
        if leaf.number != number:
            raise BrokenError(Law.PASSES, f"{leaf.root} is at pass {number} and {leaf.position} says {leaf.number}")
        self._plausible(leaf, verdict)
        aside = bool(leaf.generation) or verdict is Verdict.REVIEW or (life is not None and life.aside)
        if self.ordered and verdict is Verdict.RETRY and not aside:
            raise BrokenError(Law.ORDER, f"{leaf.root} waits beside the order of its key, and no person was asked")
        self.lives[leaf.root, leaf.generation] = Life(leaf.number, verdict, aside)
        self.last[leaf.root] = max(leaf.generation, self.last.get(leaf.root, 0))

    def _lived(self, leaf: Leaf, entry: Entry, now_ms: int) -> Life | None:
        """The life so far, once the record is one that may go on with it."""
        mine = self.lives.get((leaf.root, leaf.generation))
        if leaf.position.topic == TOPICS.input:
            if leaf.root != leaf.position or leaf.generation:
                raise BrokenError(Law.PASSES, f"{leaf.position} is said to be pass {leaf.number} of {leaf.root}")
            return mine
        if pending.kind(entry.value) == "decision":
            return self._decided(leaf, decision.decode(entry.value or b""), now_ms)
        waits = pending.decode(entry.value or b"")
        if leaf.position.topic == TOPICS.resume:
            self._redriven(leaf, waits)
            return mine
        if mine is None or mine.verdict is not Verdict.RETRY:
            raise BrokenError(Law.PASSES, f"{leaf.root} waits for no retry, and {leaf.position} is one")
        if now_ms + self.skew_ms + SLACK_MS < waits.due_ms and leaf.reason != Reason.UNKNOWN_FLOW:
            raise BrokenError(Law.DUE, f"{leaf.position} was due in {waits.due_ms - now_ms} ms and has committed")
        return mine

    def _decided(self, leaf: Leaf, said: Decision, now_ms: int) -> Life:
        review = self.reviews.pop(said.review, None)
        life = self.lives.get((leaf.root, leaf.generation))
        if review is None or life is None or (review.root, review.generation) != (leaf.root, leaf.generation):
            raise BrokenError(Law.REVIEWS, f"the decision at {leaf.position} counts, and its review is not open")
        if said.action is Action.EXPIRE and now_ms + self.skew_ms + SLACK_MS < review.waits.due_ms:
            raise BrokenError(Law.DUE, f"the review of {leaf.root} expired {review.waits.due_ms - now_ms} ms early")
        return life

    def _redriven(self, leaf: Leaf, waits: Pending) -> None:
        if leaf.generation != waits.generation or leaf.generation != self.last.get(leaf.root, 0) + 1 or leaf.generation > LIMITS.redrives:
            raise BrokenError(Law.GENERATIONS, f"{leaf.root} was at generation {self.last.get(leaf.root, 0)}, and {leaf.generation} began")
        before = self.lives.get((leaf.root, leaf.generation - 1))
        if before is None or before.verdict is not Verdict.DEAD_LETTER:
            self.forged.add(leaf.root)

    def _void(self, leaf: Leaf, entry: Entry, now_ms: int) -> None:
        if leaf.verdict == Verdict.UNREADABLE:
            raise BrokenError(Law.READABLE, f"{leaf.position} is {leaf.verdict}, and Weft wrote it")
        if leaf.reason == Reason.NOT_NEXT:
            waits = pending.decode(entry.value or b"")
            if waits.generation == self.last.get(waits.root, 0) + 1 <= LIMITS.redrives:
                raise BrokenError(Law.GENERATIONS, f"generation {waits.generation} of {waits.root} was the next, and is superseded")
            return
        said = decision.decode(entry.value or b"")
        review = self.reviews.get(said.review)
        if leaf.reason == Reason.UNFIT:
            if said.why != "unfit":
                raise BrokenError(Law.REVIEWS, f"the decision at {leaf.position} fits, and is superseded as unfit")
        elif review is not None and not (said.action is Action.EXPIRE and now_ms - self.skew_ms - SLACK_MS < review.waits.due_ms):
            raise BrokenError(Law.REVIEWS, f"the decision at {leaf.position} is about an open review, and is superseded as {leaf.reason}")

    def _plausible(self, leaf: Leaf, verdict: Verdict) -> None:
        """Whether the event can have come to this."""
        number = abs(self.numbers[leaf.root])
        kind, reason = self.kinds[number], leaf.reason
        may = {
            Reason.WRONG_TYPE: kind is Kind.WORDS,
            Reason.STEP_FAILED: kind is Kind.RAISES,
            Reason.ENCODE_FAILED: kind is Kind.UNFIT,
            Reason.DUPLICATE: verdict is Verdict.FILTERED,
            Reason.POLICY: kind in (Kind.TWICE, Kind.NEVER, Kind.ASKED, Kind.LATE, Kind.CURED, Kind.FILTERED, Kind.HELD),
            Reason.UNKNOWN_FLOW: verdict is Verdict.DEAD_LETTER,
            Reason.RETRIES_EXHAUSTED: verdict is Verdict.DEAD_LETTER,
            Reason.DEADLINE: verdict is Verdict.DEAD_LETTER,
            Reason.REVIEW_EXPIRED: verdict is Verdict.DEAD_LETTER,
            Reason.REJECTED: verdict is Verdict.QUARANTINE,
            Reason.MISSING: verdict is not Verdict.RESULT,
            Reason.MODEL_UNAVAILABLE: verdict in (Verdict.RETRY, Verdict.REVIEW),
            Reason.NONE: verdict is Verdict.RESULT
            and kind not in (Kind.WORDS, Kind.RAISES, Kind.UNFIT, Kind.NEVER, Kind.FILTERED, Kind.HELD),
        }
        if not may.get(Reason(reason), False):
            raise BrokenError(Law.TRUE, f"{leaf.root} is {kind} and came to {verdict}, {reason or 'no reason'}")
        if not leaf.generation and not leaf.number and reason != Reason.DUPLICATE and kind is not Kind.WORDS:
            self.firsts[number] += 1
