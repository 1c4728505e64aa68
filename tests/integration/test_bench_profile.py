"""`weft bench profile` on a stack of its own: every step and phase of the shipped flow has taken time."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ops.bench.profile import SETTLING
from schemas.metrics import Phase

WEFT = Path(sys.executable).with_name("weft")


@pytest.mark.timeout(180)
def test_a_profile_has_every_step_and_phase_and_what_they_come_to() -> None:
    done = subprocess.run([WEFT, "bench", "profile", "--events", "60000", "--json"], capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert 0 < found["events"] < 60_000, "what settled before the first look does not count"
    assert list(found["steps_us"])[:2] == ["decode", "filter-cancelled"]
    assert list(found["steps_us"])[-1] == "decide"
    assert set(found["phases_us"]) == set(Phase)
    assert min(*found["steps_us"].values(), *(found["phases_us"][phase] for phase in set(Phase) - {Phase.IDLE})) > 0
    assert sum(found["phases_us"][phase] for phase in SETTLING) == pytest.approx(found["wall_us"])
    assert found["events_s"] == pytest.approx(1e6 / found["wall_us"])
    assert found["cpu_us"] > 0
