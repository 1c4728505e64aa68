"""Keeps the day that it is up to date in the data folder; a new day begins a new file."""

import time
from collections.abc import Callable
from pathlib import Path

from ops.quality import day
from ops.quality.findings import Judgement
from ops.quality.page import day_page
from ops.quality.windows import Window

SAVE_S = 2.0


class Days:
    """Of one flow. What an earlier process kept of the day goes on."""

    def __init__(self, data: Path, flow: str, now: Callable[[], float] = time.time) -> None:
        self._data, self._flow, self._now = data, flow, now
        self._day = day.load(data, flow, day.of(round(now() * 1000)))
        self._changed = False
        self._save_s = 0.0

    def add(self, window: Window, judgement: Judgement, at_ms: int, paused: bool) -> None:
        """One more window."""
        part = self._part(window, at_ms)
        part.wrong = ""
        part.dropped_rows += window.dropped_rows
        failed = [finding.told for finding in judgement.failed]
        part.add(judgement, day.Judged(at_ms=at_ms, rows=judgement.rows, failed=failed, paused=paused))

    def wrong(self, window: Window, sentence: str) -> None:
        """The step's suite can't be judged."""
        self._part(window, round(self._now() * 1000)).wrong = sentence

    def save(self, now: bool = False) -> None:
        """Write what has changed, now or every two seconds."""
        if self._changed and (now or self._now() >= self._save_s):
            day.save(self._data, self._day, day_page(self._day))
            self._changed, self._save_s = False, self._now() + SAVE_S

    def _part(self, window: Window, at_ms: int) -> day.Watched:
        today = day.of(at_ms)
        if today != self._day.day:
            self.save(now=True)
            self._day = day.load(self._data, self._flow, today)
        self._changed = True
        flow, step = window.key
        return self._day.step(step, flow, window.watch.suite.name, window.watch.spec.action)
