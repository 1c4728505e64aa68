"""What may happen to an installation over time: second start, read-only home, no network, an upgrade over its data, other Pythons."""

import json
import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from streams.slot import Slot
from tests.integration.checkout import ROOT, SERVED, SHORT, Checkout, copied
from tests.integration.conftest import Tried

pytestmark = [pytest.mark.long, pytest.mark.timeout(1_200)]

FLOW = "departure-delays"
OLDER = "9aec1b4"
"""A commit before settings, schema registries, CloudEvents and reports: its data folders must be gone on with."""

IN_WORKERS = {"WEFT_SERVE": "in-process"}
"""Models in the workers: Ray Serve takes a minute to start, and is in the demos."""

OWN = ["unshare"] if os.geteuid() == 0 else ["unshare", "--map-root-user"]
LOOPBACK = 'ip link set lo up && exec "$@"'
READ_ONLY = 'mount --bind -o ro "$HOME" "$HOME" && ! touch "$HOME/x" 2>&1 && exec "$@"'


def within(*before: str) -> list[str]:
    """What stands before a command; the test is skipped where this machine does not let it."""
    tried = subprocess.run([*before, "true"], capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        pytest.skip(f"{' '.join(before[:2])} can't be had here: {tried.stderr.strip()}")
    return [*before]


def counted(checkout: Checkout, *options: str) -> str:
    """What the proof says of events; all of it must be proven."""
    said = checkout.weft(*options, "audit", "verify", FLOW)
    assert "NOT PROVEN" not in said
    return str(re.search(r"[\d,]+ events, .*", said.replace("│", " ")))


def begun(checkout: Checkout) -> None:
    """The flow runs in the background, and has settled something."""
    slot = Slot(FLOW, 0, 1, checkout.folder / ".weft")
    slot.worked_file.unlink(missing_ok=True)
    checkout.weft("run", FLOW, "--detach", "--workers", "1")
    until_s = time.monotonic() + 60
    while not slot.worked_file.exists():
        assert time.monotonic() < until_s, slot.log_file.read_text()[-3000:]
        time.sleep(0.01)


def test_a_demo_goes_well_without_a_network(house: Checkout, tried: Tried) -> None:
    with tried("set-up, then a demo with Ray Serve and no network"):
        alone = within(*OWN, "--net", "sh", "-c", LOOPBACK, "-")
        Checkout(house.folder, alone, house.more).demo(SERVED)


def test_a_demo_goes_well_with_a_home_that_can_not_be_written_to(house: Checkout, tried: Tried, tmp_path: Path) -> None:
    with tried("demo with Ray Serve, read-only home"):
        before = within(*OWN, "--mount", "sh", "-c", READ_ONLY, "-") if os.geteuid() == 0 else []
        tmp_path.chmod(0o500)
        Checkout(house.folder, before, {"HOME": str(tmp_path)}).demo(SERVED)
        assert list(tmp_path.iterdir()) == []
        assert any((house.folder / ".weft" / "downloads").rglob("kafka_*.jar"))  # kept for the next one


def test_a_flow_goes_on_after_a_second_start_of_its_stack(house: Checkout, tried: Tried) -> None:
    house = Checkout(house.folder, more=house.more | IN_WORKERS)
    house.weft("models", "train")
    with tried("second start: down and up with a flow at work"):
        house.weft("up")
        house.weft("flow", "apply", FLOW, "--yes")
        house.weft("produce", FLOW, "--limit", "60000")
        begun(house)
        house.weft("down")
        assert house.left() == []
        house.weft("up")
        house.weft("produce", FLOW, "--limit", "5000")
        house.weft("run", FLOW, "--until-idle")
        assert "65,000 events" in counted(house)
    with tried("second start: everything killed with a flow at work"):
        house.weft("produce", FLOW, "--limit", "60000")
        begun(house)
        house.end()
        assert house.left() == []
        house.weft("up")
        house.weft("run", FLOW, "--until-idle")
        assert "125,000 events" in counted(house)
    house.run("make", "clean")
    assert house.left() == []
    house.run("make", "setup")


def test_an_older_data_folder_is_gone_on_with(tried: Tried, tmp_path: Path) -> None:
    with tried(f"upgrade over the data of {OLDER}"):
        archive = subprocess.run(["git", "archive", OLDER], cwd=ROOT, capture_output=True, check=False)
        if archive.returncode != 0:
            pytest.skip(f"git has no commit {OLDER} here")
        older = tmp_path / "older"
        older.mkdir()
        subprocess.run(["tar", "-x", "-C", older], input=archive.stdout, check=True)
        before, data = Checkout(older, more=IN_WORKERS), ("--data", str(tmp_path / "data"))
        try:
            before.run("make", "setup")
            before.weft("models", "train")
            before.weft(*data, "up")
            before.weft(*data, "flow", "apply", FLOW, "--yes")
            before.weft(*data, "produce", FLOW, "--limit", "20000", "--hostile")
            before.weft(*data, "run", FLOW, "--until-idle")
            before.weft(*data, "down")
            with copied(tmp_path / "newer") as now:
                now.run("make", "setup")
                now.weft("models", "train")
                _go_on(Checkout(now.folder, more=now.more | IN_WORKERS), data)
        finally:
            Checkout(tmp_path).end()
            shutil.rmtree(older)


def _go_on(now: Checkout, data: tuple[str, str]) -> None:
    """The newer one, over the older one's data: what was decided stays proven, and what waits is decided."""
    now.weft(*data, "up")
    planned = json.loads(now.weft(*data, "flow", "apply", FLOW, "--yes", "--json"))["changes"]
    assert [one for one in planned if one["kind"] == "apply"] == []  # the version is applied, and means the same
    assert "applied already" in now.weft(*data, "flow", "apply", FLOW)
    assert "20,029 events" in counted(now, *data)
    waiting = json.loads(now.weft(*data, "review", "list", FLOW, "--json"))
    now.weft(*data, "produce", FLOW, "--limit", "10000")
    now.weft(*data, "run", FLOW, "--detach")
    now.weft(*data, "review", "approve", FLOW, waiting[0]["id"], "--why", "it was seen")
    now.weft(*data, "stop", FLOW)
    now.weft(*data, "run", FLOW, "--until-idle")
    assert "30,029 events" in counted(now, *data)
    assert waiting[0]["id"] not in now.weft(*data, "review", "list", FLOW, "--json")
    now.weft(*data, "down")


def python(version: str) -> str:
    """An interpreter of this version: on the path, or of pyenv, which may have put one there that does not run."""
    places = [shutil.which(f"python{version}"), *map(str, sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python")))]
    for place in filter(None, places):
        if subprocess.run([place, "-c", ""], capture_output=True, check=False).returncode == 0:
            return place
    pytest.skip(f"there is no Python {version} here")


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13"])
def test_another_python_passes_set_up_quick_tests_and_a_demo(version: str, tried: Tried, tmp_path: Path) -> None:
    with tried(f"Python {version}: set-up, unit and architecture tests, demo"), copied(tmp_path / "copy") as checkout:
        checkout.run("make", "setup", f"PYTHON={python(version)}")
        assert f"Python {version}." in checkout.run(".venv/bin/python", "--version")
        tests = ("tests/unit", "tests/architecture")
        checkout.run(".venv/bin/python", "-m", "pytest", "-q", "-n", "2", "--dist", "loadfile", *tests)
        checkout.demo(SHORT)
