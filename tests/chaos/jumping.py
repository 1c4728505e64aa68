"""`weft` with a clock that jumps: each worker's is ahead of the system's by what stands in a file named after its process.

Only these tests start it (`python -m tests.chaos.jumping run FLOW`); Weft itself has no setting that moves its clock. A worker is a fork
that has this module for its main one, under the name that Python gives it there: so the clock is in place before the worker is.
"""

import importlib
import os
from pathlib import Path
from typing import Any

from ops.cli.main import main
from streams.clock import SystemClock

FOLDER = "CHAOS_CLOCKS"


class JumpingClock(SystemClock):
    """The system's clock, and what the file says, in milliseconds."""

    def now_ms(self) -> int:
        try:
            ahead_ms = int(Path(os.environ[FOLDER], str(os.getpid())).read_text())
        except (OSError, ValueError):
            ahead_ms = 0
        return super().now_ms() + ahead_ms


if __name__ == "__main__":
    main()
elif __name__ == "__mp_main__":
    wiring: Any = importlib.import_module("streams.wiring")  # where a worker's parts are put together
    wiring.SystemClock = JumpingClock
