"""Real processes that a step hangs, ends or fills: the next ones find the event, and all others go on."""

import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("how", "most"),
    [
        ("kills", 6),
        ("eats", 3),
        ("matches", 3),
        *(pytest.param(how, most, marks=pytest.mark.long) for how, most in (("waits", 3), ("loops", 3), ("breaks", 6))),
    ],
)
def test_an_event_that_a_process_does_not_survive_is_found_by_those_that_follow(tmp_path: Path, how: str, most: int) -> None:
    argv = [sys.executable, "-m", "tests.fuzz.deadly", str(tmp_path), how, "700"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=200)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["letters"] == [700]
    assert told["ended"] <= most
