"""The life of each event: one pass after the other, in the order of the ledger, to one terminal leaf per generation.

A leaf of the input topic that ends its event needs no memory: its offset is met once. What waits and what is a dead letter is remembered.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

from ops.audit.outcomes import Ledger, kind_of
from ops.audit.report import Law, Report
from ops.audit.rows import GENERATION, INPUT, OUTPUT, OWN, PASS, ROOT, VERDICT, Row
from ops.audit.subject import Subject
from schemas.vocabulary import Verdict

_WORDS = {verdict.value: verdict for verdict in Verdict}


class Wait(NamedTuple):
    """A pass that ended pending."""

    number: int  # of the pass
    verdict: str
    input: bytes
    output: bytes


@dataclass(slots=True)
class Passes:
    """The events of one partition."""

    subject: Subject
    partition: int
    report: Report
    ledger: Ledger
    waits: dict[tuple[int, int], Wait] = field(default_factory=dict)  # by root offset and generation
    dead: dict[int, tuple[int, bytes]] = field(default_factory=dict)  # generation and input digest of the last dead letter, by root offset

    def add(self, row: Row) -> None:
        """The next leaf of the partition."""
        verdict = _WORDS.get(row[VERDICT])
        self.report.verdicts[row[VERDICT]] += 1
        if verdict is None or (row[OUTPUT] == b"") != (verdict is Verdict.FILTERED or verdict is Verdict.SUPERSEDED):
            self._find(row, f"has the verdict {row[VERDICT]!r} with {'no' if not row[OUTPUT] else 'an'} outcome")
            return
        if row[OUTPUT]:
            self.ledger.expect(kind_of(verdict), self.partition, row[ROOT][2], row[OUTPUT])
        if verdict.void:
            self._void(row)
        elif row[OWN] == row[ROOT]:
            self._first(row, verdict)
        else:
            self._later(row, verdict)

    def _void(self, row: Row) -> None:
        self.report.counts["void"] += 1
        if row[OWN][0] == self.subject.topics.input:
            self._find(row, f"is {row[VERDICT]} though it is an event of the input")

    def _first(self, row: Row, verdict: Verdict) -> None:
        """Pass 0 of an event's own record."""
        if row[GENERATION] or row[PASS] or row[OWN][0] != self.subject.topics.input:
            self._find(row, "is no first pass of an event of the input")
            return
        self.report.counts["events"] += 1
        self._settle(row, verdict)

    def _later(self, row: Row, verdict: Verdict) -> None:
        """A pass that came back from a retry or resume topic."""
        topic, partition, offset = row[ROOT]
        key, number = (offset, row[GENERATION]), row[PASS]
        if topic != self.subject.topics.input or partition != self.partition or row[OWN][0] == topic:
            self._find(row, f"has the root {topic}/{partition}/{offset}, which can't be its event")
        elif number == 0:
            self._redriven(row, verdict, key)
        else:
            wait = self.waits.pop(key, None)
            came_from = Verdict.REVIEW if row[OWN][0] == self.subject.topics.resume else Verdict.RETRY
            if wait is None or wait.number != number - 1 or wait.verdict != came_from:
                self._find(
                    row,
                    f"is pass {number} of generation {key[1]}, and no pass before it waits for it: the event ended already or never came",
                )
                return
            self._same_input(row, wait.input)
            self.ledger.close(kind_of(came_from), self.partition, offset, wait.output)
            self._settle(row, verdict)

    def _redriven(self, row: Row, verdict: Verdict, key: tuple[int, int]) -> None:
        """A new generation of a dead letter."""
        generation, taken = self.dead.get(key[0], (-1, b""))
        if generation < 0 or key[1] != generation + 1 or row[OWN][0] != self.subject.topics.resume:
            self._find(row, f"starts generation {key[1]}, and no dead letter of generation {key[1] - 1} is there to be redriven")
            return
        del self.dead[key[0]]
        self.report.counts["redriven"] += 1
        self._same_input(row, taken)
        self._settle(row, verdict)

    def _settle(self, row: Row, verdict: Verdict) -> None:
        offset = row[ROOT][2]
        if not verdict.terminal:
            self.waits[offset, row[GENERATION]] = Wait(row[PASS], row[VERDICT], row[INPUT], row[OUTPUT])
            return
        self.report.counts["ended"] += 1
        if verdict is Verdict.DEAD_LETTER:
            self.dead[offset] = (row[GENERATION], row[INPUT])

    def _same_input(self, row: Row, taken: bytes) -> None:
        if row[INPUT] != taken:
            self._find(row, "is of another key and value than the pass before it")

    def _find(self, row: Row, what: str) -> None:
        own, root = ("/".join(map(str, row[place])) for place in (OWN, ROOT))
        self.report.find(Law.EVENTS, f"The leaf of {own} (event {root}) {what}.")
