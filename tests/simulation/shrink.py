"""Makes a history that breaks a law shorter: acts are left out as long as it breaks the same law."""

import time

from tests.simulation.history import Told, tell
from tests.simulation.laws import BrokenError


def shrunk(told: Told, broken: BrokenError, within_s: float) -> tuple[Told, BrokenError]:
    """The shortest found in that time: halves are left out, then quarters, and so on down to single acts."""
    end_s = time.monotonic() + within_s
    size = len(told.schedule.acts) // 2
    while size:
        at = 0
        while at < len(told.schedule.acts) and time.monotonic() < end_s:
            shorter = tell(told.schedule.without(set(range(at, at + size))))
            if shorter.broken is not None and shorter.broken.law is broken.law:
                told, broken = shorter, shorter.broken
            else:
                at += size
        size //= 2
    return told, broken
