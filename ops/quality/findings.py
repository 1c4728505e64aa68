"""What came of holding rows against a suite: a finding for each expectation, with counts and never with values of events."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Finding:
    """One expectation."""

    type: str
    columns: tuple[str, ...]
    sentence: str  # what is expected, as Great Expectations says it
    severity: str  # critical, warning or info
    holds: bool
    observed: str = ""  # e.g. `4.3 % unexpected`, `15.2`
    unexpected_percent: float | None = None
    error: str = ""  # why it could not be evaluated: a class of error

    @property
    def column(self) -> str:
        """What it is about, in one word; empty for rows as a whole."""
        return ",".join(self.columns)

    @property
    def told(self) -> str:
        """What is expected, and what was found instead."""
        return f"{self.sentence} ({f'could not be evaluated: {self.error}' if self.error else self.observed or 'it does not hold'})"


@dataclass(frozen=True, slots=True)
class Judgement:
    """A suite held against rows."""

    suite: str
    rows: int
    seconds: float
    findings: tuple[Finding, ...]
    unrepresentable: int = 0  # dates and times beyond the years 1 to 9999, or a day: judged as null

    @property
    def failed(self) -> tuple[Finding, ...]:
        """Those that do not hold."""
        return tuple(finding for finding in self.findings if not finding.holds)

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return asdict(self)


def judgement(told: Mapping[str, Any]) -> Judgement:
    """From `as_json`."""
    findings = tuple(Finding(**(finding | {"columns": tuple(finding["columns"])})) for finding in told["findings"])
    return Judgement(told["suite"], told["rows"], told["seconds"], findings, told.get("unrepresentable", 0))
