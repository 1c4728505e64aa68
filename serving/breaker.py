"""A circuit breaker: after failures in a row it refuses calls for a while, then lets one through to try."""

from collections.abc import Callable
from enum import StrEnum


class Circuit(StrEnum):
    """Where the breaker stands."""

    CLOSED = "closed"  # calls go through
    OPEN = "open"  # calls are refused until the pause is over
    HALF_OPEN = "half-open"  # one call is on its way to try; others are refused


class Breaker:
    """One model's breaker. Not for several threads."""

    def __init__(self, clock: Callable[[], float], failures: int = 5, pause_s: float = 1.0) -> None:
        """`clock` in seconds, monotonic; opens after so many failures in a row, tries again after the pause."""
        self._clock, self._most, self._pause_s = clock, failures, pause_s
        self._failures = 0
        self._until: float | None = None  # when an open circuit may be tried
        self._trying = False

    @property
    def circuit(self) -> Circuit:
        """Where it stands."""
        if self._until is None:
            return Circuit.CLOSED
        return Circuit.HALF_OPEN if self._trying else Circuit.OPEN

    def admit(self) -> bool:
        """Whether a call may go out now. One that was admitted must end in succeeded, failed or released."""
        if self._until is None:
            return True
        if self._trying or self._clock() < self._until:
            return False
        self._trying = True
        return True

    def succeeded(self) -> None:
        """A call was answered, whatever the answer."""
        self._failures, self._until, self._trying = 0, None, False

    def failed(self) -> None:
        """A call was not answered."""
        self._failures += 1
        if self._trying or self._failures >= self._most:
            self._until = self._clock() + self._pause_s
        self._trying = False

    def released(self) -> None:
        """A call was given up by its caller: it says nothing about the model."""
        self._trying = False
