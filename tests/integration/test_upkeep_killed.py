"""A demo that is killed or interrupted, wherever it stands, leaves nothing running, and run again it goes well."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from typing import NamedTuple

import psutil
import pytest

from serving.training.names import NAMES
from tests.integration.checkout import SERVED, SHORT, Checkout
from tests.integration.conftest import Tried

pytestmark = [pytest.mark.long, pytest.mark.timeout(1_200)]


class Stage(NamedTuple):
    """Where a demo is killed: so long after it has said this."""

    name: str
    said: str
    after_s: float


STAGES = (
    Stage("set-up", "installing into .venv", 2.0),
    Stage("training", "-- models", 4.0),
    Stage("stack", "-- stack", 1.5),
    Stage("events", "-- events", 2.0),
    Stage("work", "-- work", 4.0),
    Stage("proof", "-- verification", 0.3),
    Stage("report", "-- report", 1.0),
)


def all_of_it(make: "subprocess.Popen[str]") -> None:
    """As the kernel does it that is out of memory, or a terminal's end."""
    os.killpg(make.pid, signal.SIGKILL)


def weft_alone(make: "subprocess.Popen[str]") -> None:
    """What make has started, and make goes on."""
    for child in psutil.Process(make.pid).children():
        child.kill()


def ctrl_c(make: "subprocess.Popen[str]") -> None:
    """Everybody hears it."""
    os.killpg(make.pid, signal.SIGINT)


def killed(house: Checkout, how: str, stage: Stage, kill: Callable[["subprocess.Popen[str]"], None]) -> None:
    with house.start("make", "demo", f"DEMO={how}") as make:
        assert make.stdout is not None
        said = []
        for line in make.stdout:
            said.append(line)
            if stage.said in line:
                break
        time.sleep(stage.after_s)
        assert make.poll() is None, f"it had ended before {stage.name}:\n{''.join(said)}"
        kill(make)
        make.stdout.read()
    assert make.returncode != 0


@pytest.mark.parametrize("kill", [all_of_it, weft_alone, ctrl_c], ids=lambda kill: kill.__name__)
def test_a_demo_that_was_killed_at_any_stage_leaves_nothing_and_goes_well_again(
    house: Checkout, tried: Tried, kill: Callable[["subprocess.Popen[str]"], None]
) -> None:
    """Each run also is the one after a killed one."""
    house.run("rm", "-rf", ".venv/.installed", *(f"serving/models/{name}" for name in NAMES))
    for stage in STAGES:
        with tried(f"make demo ended at {stage.name}: {kill.__name__.replace('_', ' ')}"):
            killed(house, SHORT, stage, kill)
            assert house.is_left_alone(), house.left()
        if stage.name == "training":
            house.weft("models", "train", NAMES[0])  # as where it is killed between two
    with tried("make demo again after all of these"):
        house.demo(SHORT)


def test_a_demo_begun_again_at_once_waits_for_what_the_killed_one_left(house: Checkout, tried: Tried) -> None:
    with tried("make demo killed while Ray Serve starts, and again at once"):
        killed(house, SERVED, Stage("model server", "-- events", 8.0), all_of_it)
        house.demo(SERVED)
