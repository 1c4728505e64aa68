"""What a lane tells whoever watches it: counts and times, never the data. The worker turns them into metrics."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from processors.step import Signal
from schemas.positions import Source


class Watch(Protocol):
    """Hears what happened, after it happened; must not raise or wait."""

    def stepped(self, step: str, rows: int, seconds: float, counts: Mapping[str, float]) -> None:
        """A step worked on rows."""

    def settled(self, verdicts: Mapping[tuple[str, str, str], int], seconds: float, oldest_ms: int) -> None:
        """A transaction committed: rows by (verdict, reason, rule), its time, and when the oldest of its rows was fetched."""

    def signalled(self, signals: Sequence[Signal]) -> None:
        """Alerts of a committed batch."""

    def failed(self, what: str) -> None:
        """A transaction was aborted or a port was down: the error's class and sentence."""

    def owns(self, sources: Sequence[Source]) -> None:
        """The partitions held now."""


class NoWatch:
    """Nobody watches."""

    def stepped(self, step: str, rows: int, seconds: float, counts: Mapping[str, float]) -> None:
        """Nothing."""

    def settled(self, verdicts: Mapping[tuple[str, str, str], int], seconds: float, oldest_ms: int) -> None:
        """Nothing."""

    def signalled(self, signals: Sequence[Signal]) -> None:
        """Nothing."""

    def failed(self, what: str) -> None:
        """Nothing."""

    def owns(self, sources: Sequence[Source]) -> None:
        """Nothing."""
