"""What expectations on samples of live events came to, by day, as the quality process keeps it in the data folder."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from ops.quality import day
from ops.quality.day import Watched

DAYS: Final = 31


def expectations(data: Path, flow: str) -> Sequence[dict[str, Any]]:
    """One for each day and watch step, the newest first; none where nothing was ever judged."""
    return [_step(of, step) for of in day.days(data, flow)[:DAYS] for step in day.load(data, flow, of).steps]


def _step(of: str, step: Watched) -> dict[str, Any]:
    failed = sorted((one for one in step.expectations if one.failed), key=lambda one: -one.failed)
    return {
        "day": of,
        "step": step.step,
        "suite": step.suite,
        "windows": step.windows,
        "failed_windows": step.failed,
        "rows": step.rows,
        "dropped_rows": step.dropped_rows,
        "wrong": step.wrong,
        "failed": [{"sentence": one.sentence, "windows": one.failed, "of": one.windows, "observed": one.observed} for one in failed],
    }
