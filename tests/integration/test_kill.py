"""Kill -9 in mid-batch, twenty times: exactly one outcome per event, the ledger proven, the first batch within three seconds."""

import os
import random
import signal
import time
from pathlib import Path

from tests.integration.readings import PARTITIONS, Readings
from tests.stack import TestStack

KILLS, EVENTS, FIRST_BATCH_S, SEED = 20, 60_000, 3.0, 20130101


def test_twenty_kills_in_mid_batch_leave_exactly_one_outcome_per_event(stack: TestStack, tmp_path: Path) -> None:
    readings, chance = Readings(stack, tmp_path), random.Random(SEED)
    readings.weft("flow", "apply", readings.name, "--partitions", str(PARTITIONS), "--yes")
    readings.send(EVENTS // (KILLS + 1))
    waits_s: list[float] = []
    with readings.running("--workers", "1"):
        readings.until(lambda: readings.status().get("first_batch_s") is not None)
        for kill in range(1, KILLS + 1):
            readings.until(lambda: readings.status()["lane"]["verdicts"])
            readings.send(EVENTS * (kill + 1) // (KILLS + 1) - readings.sent)
            time.sleep(chance.uniform(0.0, 0.3))
            pid = readings.status()["pid"]
            os.kill(pid, signal.SIGKILL)
            killed_s = time.monotonic()
            readings.send(100)  # so that there is a first batch in any case
            readings.until(lambda pid=pid: _worked(readings, pid))  # type: ignore[misc]
            waits_s.append(time.monotonic() - killed_s)
    readings.weft("run", readings.name, "--workers", "1", "--until-idle")
    found, filtered = readings.outcomes(), readings.filtered()
    print(f"\n{readings.sent} events, {KILLS} kills, first batch after {min(waits_s):.2f} to {max(waits_s):.2f} s")
    assert {position: count for position, count in found.items() if count != 1} == {}
    assert found.keys() & filtered == set()
    assert len(found) + len(filtered) == readings.sent
    assert max(waits_s) < FIRST_BATCH_S * _slow(), waits_s
    readings.weft("audit", "verify", readings.name)


def _slow() -> float:
    """1 on a machine that does no more than these tests; more where others want its processors too."""
    return max(1.0, os.getloadavg()[0] / (2 * (os.cpu_count() or 1)))


def _worked(readings: Readings, killed: int) -> bool:
    """Whether another worker than the killed one has its first batch."""
    status = readings.status()
    return status.get("pid", killed) != killed and status["first_batch_s"] is not None
