"""What the suites of a flow's watch steps came to on one day (UTC), kept in the data folder: `quality/<flow>/<day>.json` and `.html`."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pydantic

from ops.quality.findings import Finding, Judgement
from ops.whole import write

KEPT_WINDOWS = 200  # that are told one by one, the newest
KEPT_DAYS = 90


class Expected(pydantic.BaseModel):
    """An expectation over the day."""

    type: str
    column: str  # what it is about; empty for rows as a whole
    sentence: str
    severity: str
    windows: int = 0
    failed: int = 0  # windows
    observed: str = ""  # in the last window
    worst_percent: float | None = None  # of values that were not as expected, in any window
    last_failed_ms: int | None = None

    def add(self, finding: Finding, at_ms: int) -> None:
        """One more window."""
        self.windows += 1
        self.observed = f"could not be evaluated: {finding.error}" if finding.error else finding.observed
        if finding.unexpected_percent is not None:
            self.worst_percent = max(self.worst_percent or 0.0, finding.unexpected_percent)
        if not finding.holds:
            self.failed += 1
            self.last_failed_ms = at_ms


class Judged(pydantic.BaseModel):
    """One window."""

    at_ms: int
    rows: int
    failed: list[str]  # what was expected, and what was found instead
    paused: bool = False  # the flow, because of it


class Watched(pydantic.BaseModel):
    """A watch step over the day."""

    step: str
    flow: str  # name@version of the last window
    suite: str
    action: str
    windows: int = 0
    failed: int = 0
    rows: int = 0
    dropped_rows: int = 0  # that came and were let go; those that workers let go are in their metrics
    seconds: float = 0.0  # spent on judging
    wrong: str = ""  # why it can't be judged at all
    expectations: list[Expected] = []
    recent: list[Judged] = []

    def add(self, judgement: Judgement, judged: Judged) -> None:
        """One more window. Expectations of a suite that was changed since are left out."""
        told = [(one.type, one.column, one.sentence) for one in judgement.findings]
        if told != [(one.type, one.column, one.sentence) for one in self.expectations]:
            self.expectations = [
                Expected(type=one.type, column=one.column, sentence=one.sentence, severity=one.severity) for one in judgement.findings
            ]
        for expected, finding in zip(self.expectations, judgement.findings, strict=True):
            expected.add(finding, judged.at_ms)
        self.windows += 1
        self.failed += bool(judged.failed)
        self.rows += judgement.rows
        self.seconds += judgement.seconds
        self.recent = [judged, *self.recent[: KEPT_WINDOWS - 1]]


class Day(pydantic.BaseModel):
    """A flow's day."""

    flow: str
    day: str  # e.g. 2026-11-21, UTC
    steps: list[Watched] = []

    def step(self, name: str, flow: str, suite: str, action: str) -> Watched:
        """The step's part, made if it is not there yet."""
        found = next((one for one in self.steps if one.step == name), None)
        if found is None:
            found = Watched(step=name, flow=flow, suite=suite, action=action)
            self.steps.append(found)
        found.flow, found.suite, found.action = flow, suite, action
        return found


def folder(data: Path, flow: str) -> Path:
    """Where a flow's days lie."""
    return data / "quality" / flow


def days(data: Path, flow: str) -> Sequence[str]:
    """Those there are, the newest first."""
    return sorted((file.stem for file in folder(data, flow).glob("[0-9]*-[0-9]*-[0-9]*.json")), reverse=True)


def of(at_ms: int) -> str:
    """The day of a time."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d")


def load(data: Path, flow: str, day: str) -> Day:
    """What is kept of the day; an empty one where nothing is, or nothing that can be read."""
    try:
        return Day.model_validate_json((folder(data, flow) / f"{day}.json").read_bytes())
    except (OSError, pydantic.ValidationError):
        return Day(flow=flow, day=day)


def save(data: Path, day: Day, page: str) -> None:
    """Keep it, and its page; old days go."""
    at = folder(data, day.flow)
    for name, text in ((f"{day.day}.json", day.model_dump_json(indent=1)), (f"{day.day}.html", page)):
        write(at / name, text)
    for old in days(data, day.flow)[KEPT_DAYS:]:
        for suffix in (".json", ".html"):
            (at / old).with_suffix(suffix).unlink(missing_ok=True)
