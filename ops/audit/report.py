"""What a verification says: for each law what was proven, what was found against it, and what could not be judged."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple, Protocol


class Law(StrEnum):
    """What must hold. The value is the sentence that a person reads."""

    TREES = "Every tree is whole: blocks follow each other, roots are those of their leaves"
    CHECKPOINTS = "Every signed head is the head of its tree, and every tree is signed to its end"
    RECORDS = "Every consumed record has exactly one leaf, with the digest of its key and value"
    EVENTS = "Every event has exactly one terminal leaf per generation, or waits"
    OUTCOMES = "Every outcome is present exactly once, as the ledger says"


SHOWN = 200
"""Findings kept as sentences; the others are only counted."""


class Line(NamedTuple):
    """One law in the table."""

    law: Law
    proven: bool
    figures: str


@dataclass(slots=True)
class Report:
    """Filled while the topics are read."""

    counts: Counter[str] = field(default_factory=Counter)
    verdicts: Counter[str] = field(default_factory=Counter)
    findings: list[tuple[Law, str]] = field(default_factory=list)
    found: Counter[Law] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)

    def find(self, law: Law, sentence: str) -> None:
        """Something is not as it should be."""
        self.found[law] += 1
        if len(self.findings) < SHOWN:
            self.findings.append((law, sentence))

    def note(self, sentence: str) -> None:
        """Something to know that is no finding."""
        if sentence not in self.notes:
            self.notes.append(sentence)

    @property
    def proven(self) -> bool:
        """Whether all laws hold."""
        return not self.found

    def lines(self) -> Sequence[Line]:
        """The table."""
        n = self.counts
        waiting = f", {n['waiting']:,} wait" if n["waiting"] else ""
        void = f", {n['void']:,} records were no live pass" if n["void"] else ""
        figures = {
            Law.TREES: f"{n['trees']:,} trees, {n['blocks']:,} blocks, {n['leaves']:,} leaves",
            Law.CHECKPOINTS: f"{n['checkpoints']:,} checkpoints" + (f", {n['unsigned']:,} leaves not signed yet" if n["unsigned"] else ""),
            Law.RECORDS: f"{n['records']:,} records"
            + (f", {n['gone']:,} deleted by retention and proven from the blocks" if n["gone"] else "")
            + (f", {n['lost']:,} lost and proven from the blocks" if n["lost"] else ""),
            Law.EVENTS: f"{n['events']:,} events, {n['ended'] - n['redriven']:,} ended{waiting}"
            + (f", {n['redriven']:,} generations were redriven" if n["redriven"] else "")
            + void,
            Law.OUTCOMES: f"{n['outcomes']:,} records" + (f", {n['outcomes gone']:,} deleted by retention" if n["outcomes gone"] else ""),
        }
        return [Line(law, not self.found[law], figures[law]) for law in Law]

    def as_json(self) -> dict[str, Any]:
        """The report for programs."""
        return {
            "proven": self.proven,
            "laws": [
                {"law": line.law.name.lower(), "sentence": line.law.value, "proven": line.proven, "figures": line.figures}
                for line in self.lines()
            ],
            "counts": dict(self.counts),
            "verdicts": dict(self.verdicts),
            "found": {law.name.lower(): count for law, count in self.found.items()},
            "findings": [{"law": law.name.lower(), "sentence": sentence} for law, sentence in self.findings],
            "notes": self.notes,
        }


class Progress(Protocol):
    """Hears how far a long reading is."""

    def __call__(self, done: int, total: int) -> None:
        """So many of about so many records."""


def silent(done: int, total: int) -> None:
    """Nobody looks."""
