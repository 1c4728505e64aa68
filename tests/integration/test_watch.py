"""A watch step at work: samples go to a process of their own, what fails is told, and no event ends otherwise for it."""

import importlib
import json
import os
import signal
import socket
import urllib.request
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import psutil
import pyarrow as pa
import pytest

from ops.cli.main import run
from processors.flow.plan import Site
from processors.flow.project import FolderProject
from processors.flow.yaml import parse
from processors.quality.known import FILE
from processors.quality.suite import read
from schemas.vocabulary import Exit
from streams.slot import Slot
from tests.integration.readings import PARTITIONS, Readings
from tests.stack import TestStack

FLOW = """\
flow: {name}
version: {version}
input: {{topic: in-{name}, schema: test.Reading, encoding: avro-single-object, id: id}}
steps:
  - filter: {{when: "n % 10 == {out}", reason: tenth}}
  - watch: {{suite: readings, sample: 1.0, window: 100, within: 1s, action: pause}}
result: {{topic: out-{name}, schema: test.Kept}}
"""
SUITE: Mapping[str, Any] = {
    "name": "readings",
    "expectations": [
        {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "id"}},
        {"type": "expect_column_max_to_be_between", "kwargs": {"column": "n", "max_value": 1_000}},
        {
            "type": "expect_column_values_to_match_regex",
            "kwargs": {"column": "id", "regex": "^r[0-9]{1,3}$", "mostly": 0.9},
            "severity": "info",
        },
    ],
    "meta": {"great_expectations_version": "1.24.1"},
}


class Watched(Readings):
    """The flow of readings, watched."""

    def write(self, version: str, out: int) -> None:
        """The flow's file, and its suite's."""
        (self.folder / "suites").mkdir(exist_ok=True)
        (self.folder / "suites" / "readings.json").write_text(json.dumps(SUITE))
        (self.folder / "flows" / f"{self.name}.yaml").write_text(FLOW.format(name=self.name, version=version, out=out))

    def day(self) -> dict[str, Any]:
        """What is kept of today's steps; empty before there is anything."""
        files = sorted(self.folder.glob(f"data/quality/{self.name}/2*.json"))
        steps = orjson.loads(files[-1].read_bytes())["steps"] if files else []
        return steps[0] if steps else {}


@pytest.fixture
def readings(stack: TestStack, tmp_path: Path) -> Watched:
    made = Watched(stack, tmp_path)
    made.weft("flow", "apply", made.name, "--partitions", str(PARTITIONS), "--yes")
    return made


def _watcher(parent: int) -> psutil.Process | None:
    return next((child for child in psutil.Process(parent).children() if "ops.quality.watcher" in child.cmdline()), None)


def test_expectations_that_fail_alert_and_pause_the_flow_and_the_process_ends_with_its_parent(readings: Watched) -> None:
    with readings.running("--workers", "1") as supervisor:
        readings.until(lambda: readings.status().get("lane"))
        assert _watcher(supervisor.pid) is None, "nothing was sampled yet"
        readings.send(500)
        readings.until(lambda: readings.day().get("windows", 0) >= 4, 60)
        assert readings.day()["failed"] == 0
        assert readings.status()["alerts"] == []
        readings.send(2_000)
        readings.until(lambda: readings.status()["paused"], 60)
        paused, alerts = readings.status()["paused"], {alert["column"]: alert for alert in readings.status()["alerts"]}
        assert paused["who"] == "the step watch-readings"
        assert "n maximum value must be less than or equal to 1000" in paused["why"]
        assert set(alerts) == {"", "n", "id"}
        assert alerts[""]["figures"]["failed"] == 2.0
        assert alerts["id"]["figures"]["unexpected_percent"] > 10
        readings.until(lambda: readings.day()["recent"][0]["paused"])
        port = Slot(readings.name, 0, 1, readings.folder / "data").kept_port()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            metrics = answer.read().decode()
        assert f'weft_watch_failed_expectations{{flow="{readings.name}",step="watch-readings"}} 2.0' in metrics
        assert "weft_watch_sampled_rows_total{" in metrics
        told = orjson.loads(readings.weft("watch", "show", readings.name, "--json"))
        assert "<script" not in Path(told["page"]).read_text()
        watcher = _watcher(supervisor.pid)
        assert watcher is not None
        assert watcher.nice() > 0
        os.kill(supervisor.pid, signal.SIGKILL)
        gone, alive = psutil.wait_procs([watcher], 10)
        assert (len(gone), alive) == (1, [])


def _in_process(readings: Watched, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """A command in this process: Great Expectations takes seconds to import, once is enough."""
    for name, value in readings.environment.items():
        monkeypatch.setenv(name, value)
    return run([*arguments])


def test_past_events_are_held_against_a_suite(
    readings: Watched, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    readings.send(1_000)
    assert _in_process(readings, monkeypatch, "quality", "run", readings.name, "--json") == Exit.DONE
    told = orjson.loads(capsys.readouterr().out)
    assert (told["events"], told["unreadable"], told["left_before"], told["judged"]) == (1_000, 20, 80, 900)
    assert told["holds"]
    readings.send(500)
    assert _in_process(readings, monkeypatch, "quality", "run", readings.name) == Exit.FAILED
    said = capsys.readouterr().out
    assert "2 of 3 expectations do not hold" in said
    assert "n maximum value must be less than or equal to 1000." in said
    page = Path(said.rsplit("page: ")[1].strip()).read_text()
    assert "r1499" not in page, "a page holds no value of an event, but figures of all of them"
    assert _in_process(readings, monkeypatch, "quality", "run", readings.name, "--suite", "departures") == Exit.USAGE
    assert "there is no column `dep_delay` here" in " ".join(capsys.readouterr().err.split())


def test_findings_are_those_of_great_expectations_and_hold_counts_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket.socket, "connect", _refused)
    judge = importlib.import_module("ops.quality.judge").Judge()  # not when tests are collected: it takes seconds
    columns = {"n": pa.float64(), "at": pa.timestamp("ms", "UTC"), "text": pa.string()}
    kwargs = [
        ("expect_column_values_to_be_between", {"column": "n", "max_value": 98, "mostly": 0.99}),
        ("expect_column_values_to_be_between", {"column": "n", "max_value": 97, "mostly": 0.99}),
        ("expect_column_mean_to_be_between", {"column": "n", "max_value": 10}),
        ("expect_column_max_to_be_between", {"column": "at", "max_value": "2014-01-01"}),
        ("expect_column_values_to_be_in_set", {"column": "text", "value_set": ["secret"]}),
        ("expect_column_distinct_values_to_be_in_set", {"column": "text", "value_set": ["other"]}),
        ("expect_column_values_to_match_regex", {"column": "n", "regex": "x"}),
        ("expect_column_pair_values_a_to_be_greater_than_b", {"column_A": "n", "column_B": "text"}),
    ]
    told = json.dumps({"expectations": [{"type": type_, "kwargs": given} for type_, given in kwargs]})
    suite = read("s", Site(FolderProject(), parse("s.json", told), []), columns)
    assert suite is not None
    rows = {"n": [float(n) for n in range(100)], "at": [datetime(2013, 1, 1, tzinfo=UTC)] * 100, "text": ["secret"] * 100}
    judgement = judge.judge(suite, pa.table(rows, pa.schema(list(columns.items()))))
    assert [finding.holds for finding in judgement.findings] == [True, False, False, True, True, False, False, False]
    assert [finding.observed for finding in judgement.findings[:3]] == ["1 % unexpected", "2 % unexpected", "49.5"]
    assert judgement.findings[7].error
    assert "secret" not in json.dumps([finding.told for finding in judgement.findings if "set: secret" not in finding.sentence])


def test_what_a_flow_check_knows_of_expectations_is_what_great_expectations_has() -> None:
    assert importlib.import_module("ops.quality.known").text() == FILE.read_text(), "run: python -m ops.quality.known"


def _refused(connecting: socket.socket, address: object) -> None:
    raise AssertionError(f"something connects to {address}")
