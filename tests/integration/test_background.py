"""A flow in the background: started, shown, refused a second time, ended in order; and nothing left of one that could not start."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import orjson
import psutil
import pytest

from ops.run.runs import Run
from ops.stack.daemon import MARK
from tests.integration.readings import PARTITIONS, Readings
from tests.stack import Proxy, TestStack


def _family(readings: Readings) -> list[psutil.Process]:
    """Every process that was started for the flow's run."""
    found = []
    for process in psutil.process_iter():
        try:
            marked = process.environ().get(MARK) == str(Run(readings.folder / "data", readings.name).folder)
            if marked and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


@pytest.fixture
def readings(stack: TestStack, tmp_path: Path) -> Iterator[Readings]:
    made = Readings(stack, tmp_path)
    made.weft("flow", "apply", made.name, "--partitions", str(PARTITIONS), "--yes")
    yield made
    if Run(tmp_path / "data", made.name).folder.exists():
        made.weft("stop", made.name)
    assert _family(made) == []


def _run(readings: Readings) -> Run:
    return Run(readings.folder / "data", readings.name)


def _row(readings: Readings) -> dict[str, object] | None:
    """Its row in `weft status`; the parts of a stack do not run from this folder."""
    rows = orjson.loads(readings.weft("status", "--json", code=3))
    return next((row for row in rows if row["name"] == readings.name), None)


def test_a_detached_run_works_is_shown_is_refused_twice_and_drains(readings: Readings) -> None:
    readings.send(5_000)
    said = readings.weft("run", readings.name, "--workers", "2", "--detach")
    assert f"{readings.name} runs in the background: 2 workers" in said
    assert f"weft stop {readings.name}" in said
    readings.until(lambda: all(readings.status(slot)["lane"]["sources"] for slot in (0, 1)))  # each has its share
    row = _row(readings)
    assert row is not None
    assert (row["state"], len(_addresses(row))) == ("running", 2)
    for again in ([], ["--detach"]):
        assert f"by process {row['pid']}" in readings.weft("run", readings.name, *again, code=2)
    assert "2 workers" in readings.weft("logs", readings.name)
    assert "started" in readings.weft("logs", f"{readings.name}/1")
    readings.until(lambda: sum(sum(readings.status(slot)["lane"]["verdicts"].values()) for slot in (0, 1)) == 5_000)
    assert "is drained and has ended" in readings.weft("stop", readings.name)
    assert "4,500 result, 400 filtered, 100 dead-letter" in readings.weft("logs", readings.name)
    assert _family(readings) == []
    assert _row(readings) is None
    assert "was not running" in readings.weft("stop", readings.name)


def _addresses(row: dict[str, object]) -> dict[str, str]:
    addresses = row["addresses"]
    assert isinstance(addresses, dict)
    return addresses


def test_a_worker_that_can_not_start_is_said_with_its_reason_and_exit_code_and_nothing_is_left(readings: Readings) -> None:
    key = readings.folder / "data" / "log-key.pem"
    key.parent.mkdir(parents=True, exist_ok=True)
    key.write_text("no key")
    said = readings.weft("run", readings.name, "--detach", code=2)
    assert "could not start" in said
    assert "Traceback" not in said
    assert _family(readings) == []
    key.unlink()


def test_an_interrupt_while_it_starts_leaves_nothing(readings: Readings) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever runs in the background ignores it, and so does what he starts
    argv = [sys.executable, "-m", "ops.cli", "run", readings.name, "--workers", "1", "--detach"]
    starting = subprocess.Popen(argv, env=readings.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    readings.until(_run(readings).daemon.process)
    starting.send_signal(signal.SIGINT)
    assert starting.wait(30) == 130
    assert _family(readings) == []


def test_a_run_whose_supervisor_was_killed_is_crashed_can_be_run_again_and_down_ends_it_in_order(readings: Readings) -> None:
    readings.weft("run", readings.name, "--workers", "1", "--detach")
    process = _run(readings).daemon.process()
    assert process is not None
    process.kill()
    readings.until(lambda: _run(readings).daemon.process() is None)
    row = _row(readings)
    assert row is not None
    assert row["state"] == "crashed"
    readings.weft("run", readings.name, "--workers", "1", "--detach")
    assert (row := _row(readings)) is not None
    assert row["state"] == "running"
    assert f"ended: {readings.name}\n" in readings.weft("down")
    assert _family(readings) == []
    assert '"drained"' in readings.log()


def test_a_run_in_the_background_until_idle_ends_by_itself(readings: Readings) -> None:
    readings.send(500)
    readings.weft("run", readings.name, "--workers", "1", "--until-idle", "--detach")
    readings.until(lambda: _run(readings).daemon.process() is None)
    assert "450 result, 40 filtered, 10 dead-letter" in readings.weft("logs", readings.name)
    assert _row(readings) is None


def test_a_run_in_a_terminal_is_shown_and_stopped_too(readings: Readings) -> None:
    with readings.running("--workers", "1") as supervisor:
        readings.until(lambda: readings.status().get("lane"))
        row = _row(readings)
        assert row is not None
        assert (row["state"], row["pid"]) == ("running", supervisor.pid)
        assert "is drained" in readings.weft("stop", readings.name)
        assert supervisor.wait(5) == 0


def test_a_run_that_is_told_to_end_while_its_workers_start_ends_well_and_loses_nothing(readings: Readings) -> None:
    readings.send(200)
    for delay_s in (0.0, 0.4):
        with readings.running("--workers", "2") as supervisor:
            readings.until(partial(_workers, supervisor))
            time.sleep(delay_s)
            supervisor.send_signal(signal.SIGTERM)
            assert supervisor.wait(15) == 0, (delay_s, readings.log())
    readings.weft("run", readings.name, "--workers", "2", "--until-idle")
    found = readings.outcomes()
    assert set(found.values()) == {1}
    assert len(found) + len(readings.filtered()) == 200


def test_a_worker_that_waits_for_a_frozen_network_at_its_start_ends_at_once_when_told_to(
    readings: Readings, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Readings, "environment", {**readings.environment, "WEFT_BOOTSTRAP": readings.stack.second_bootstrap})
    with readings.running("--workers", "1") as supervisor:
        readings.until(partial(_workers, supervisor))
        proxy.freeze()
        time.sleep(1.0)
        began = time.monotonic()
        supervisor.send_signal(signal.SIGTERM)
        assert supervisor.wait(15) == 0, readings.log()
        assert time.monotonic() - began < 3


def _workers(supervisor: "subprocess.Popen[bytes]") -> list[psutil.Process]:
    """The forks of the fork server."""
    return [fork for server in psutil.Process(supervisor.pid).children() for fork in server.children()]
