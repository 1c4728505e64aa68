"""The people of a history: they decide reviews, perhaps twice and at once, and redrive dead letters, perhaps two of them the same."""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from connectors.log import Outgoing
from connectors.memory.partition import Entry
from processors.flow.compiled import Flow
from schemas import decision, pending
from schemas.decision import Action, Decision
from schemas.pending import Pending
from schemas.positions import Position, Source
from tests.simulation.events import TOPICS
from tests.simulation.fabric import Fabric
from tests.simulation.lives import Review

GIVEN = {pa.int64(): 1, pa.float64(): 0.5, pa.bool_(): True, pa.string(): "asked"}
PATIENCE = 10
PAUSE_S = 0.3


class People:
    """Act on what is open, and wait a while if nothing is."""

    def __init__(self, fabric: Fabric, flow: Flow) -> None:
        self._fabric, self._flow = fabric, flow

    def decide(self, pick: int, words: Sequence[str], apart_s: float, tries: int = PATIENCE) -> None:
        """Decisions about one open review: approve, reject, or one that does not fit."""
        reviews = {name: review for name, review in self._fabric.proof.lives.reviews.items() if self._sees(review)}
        if not reviews:
            if tries:
                self._fabric.later(PAUSE_S, self.decide, pick, words, apart_s, tries - 1)
            return
        review = sorted(reviews)[pick % len(reviews)]
        for at, word in enumerate(words):
            self._fabric.later(at * apart_s, self._said, review, reviews[review].waits, word)

    def _sees(self, review: Review) -> bool:
        """Whether `read_committed` delivers it: below a transaction that hangs it does not."""
        return review.offset < self._fabric.broker.partition(Source(TOPICS.reviews, review.root.partition)).stable

    def _said(self, review: str, waits: Pending, word: str) -> None:
        gives = self._flow.gives[waits.step_index]
        columns: Mapping[str, Any] = {name: GIVEN[kind] for name, kind in gives.items()} if word == "approve" else {}
        columns = {"wrong": 1} if word == "unfit" else columns
        action = Action.REJECT if word == "reject" else Action.APPROVE
        value = decision.encode(Decision(review, action, "ann", word, self._fabric.now_ms(), columns))
        self._fabric.broker.append(Outgoing(TOPICS.resume, [review.encode()], [value], partition=waits.root.partition))

    def redrive(self, pick: int, operators: int, ahead: int, tries: int = PATIENCE) -> None:
        """The same letter redriven by so many at once; `ahead`: of a generation that is not the next."""
        letters = self._fabric.proof.lives.letters
        if not letters:
            if tries:
                self._fabric.later(PAUSE_S, self.redrive, pick, operators, ahead, tries - 1)
            return
        root, generation = sorted(letters)[pick % len(letters)]
        for _ in range(operators):
            self._redriven(root, generation + 1 + ahead, letters[root, generation])

    def _redriven(self, root: Position, generation: int, letter: Entry) -> None:
        now_ms, first = self._fabric.now_ms(), self._flow.steps[0].name
        waits = Pending(
            root, generation, 0, str(root), "f", "1.0.0", 0, first, now_ms, now_ms, letter.key, letter.value, None, letter.timestamp_ms
        )
        self._fabric.broker.append(Outgoing(TOPICS.resume, [str(root).encode()], [pending.encode(waits)], partition=root.partition))
