"""The second example on the real stack, by the commands that its users type: every application ends once, some by a reviewer."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from ops.cli.main import run
from processors.flow.project import BUILT_IN
from schemas.vocabulary import Exit
from tests.models import trained
from tests.stack import TestStack

Capture = pytest.CaptureFixture[str]
SAMPLES = BUILT_IN["flows"] / "samples" / "loan-decisions.ndjson"


@pytest.fixture
def flow(tmp_path: Path, stack: TestStack, monkeypatch: pytest.MonkeyPatch) -> str:
    """The shipped flow under a name and topics of its own, not yet applied."""
    trained()
    name = f"loans-{uuid4().hex[:8]}"
    places = {"PROJECT": tmp_path, "DATA": tmp_path / "data", "BOOTSTRAP": stack.bootstrap, "REDIS": stack.redis_url, "SERVE": "in-process"}
    for setting, value in places.items():
        monkeypatch.setenv(f"WEFT_{setting}", str(value))
    text = (BUILT_IN["flows"] / "loan-decisions.yaml").read_text()
    for old, new in {"flow: loan-decisions": f"flow: {name}", "loans.applications": f"in.{name}", "loans.decisions": f"out.{name}"}.items():
        assert old in text
        text = text.replace(old, new)
    (tmp_path / "flows").mkdir()
    (tmp_path / "flows" / f"{name}.yaml").write_text(text)
    return name


@pytest.fixture
def told(capsys: Capture) -> Callable[..., Any]:
    """What a command prints as JSON."""

    def ask(*arguments: str) -> Any:
        capsys.readouterr()
        assert run([*arguments, "--json"]) == Exit.DONE
        said = capsys.readouterr()
        return [json.loads(line) for line in said.out.splitlines()] if arguments[0] == "results" else json.loads(said.out)

    return ask


@contextlib.contextmanager
def worker(flow: str, folder: Path) -> Iterator[None]:
    """`weft run`, drained at the end."""
    with (folder / "run.log").open("ab") as log:
        process = subprocess.Popen([sys.executable, "-m", "ops.cli.main", "run", flow], env=dict(os.environ), stdout=log, stderr=log)
    try:
        yield
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0, (folder / "run.log").read_text()
    finally:
        process.kill()
        process.wait()


def waiting(told: Callable[..., Any], flow: str, folder: Path, reviews: int) -> list[dict[str, Any]]:
    """The open reviews, once there are so many."""
    deadline = time.monotonic() + 40
    while len(found := told("review", "list", flow)) != reviews:
        said = [file.read_text()[-3_000:] for file in (folder / "run.log", *folder.glob("data/run/*/*/worker.log"))]
        assert time.monotonic() < deadline, (len(found), *said)
        time.sleep(0.5)
    return list(found)


def test_every_application_ends_once_and_some_by_a_reviewer(flow: str, tmp_path: Path, told: Callable[..., Any]) -> None:
    told("flow", "apply", flow, "--yes", "--partitions", "2")
    sent = told("produce", flow)
    assert (sent["events"], sent["lookups"]) == (300, 1_000)
    wrong = told("produce", flow, "--from", str(SAMPLES), "--no-lookups")["events"]
    with worker(flow, tmp_path):
        reviews = waiting(told, flow, tmp_path, 24)
        assert Counter(one["rule"] for one in reviews) == {"borderline": 20, "large-amount": 4}
        shown = told("review", "show", flow, reviews[0]["id"])
        assert all((shown[part]["sex"], shown[part]["age"]) == (None, None) for part in ("columns", "input"))
        assert not shown["input"]["applicant_id"].startswith("C")
        granted, rejected = ({one["event"] for one in reviews[at::2]} for at in (0, 1))
        approved = told("review", "approve", flow, *granted, "--why", "known for ten years", "--who", "ann")
        refused = told("review", "reject", flow, *rejected, "--why", "no proof of income", "--who", "bob")
        assert Counter(one["outcome"] for one in approved + refused) == {"decided": 24}
        waiting(told, flow, tmp_path, 0)
    report = told("audit", "verify", flow)
    assert report["proven"]
    results = told("results", flow, "--from", "start")
    by_person = {one["event"]: one["value"] for one in results if one["value"]["rule"]}
    assert set(by_person) == granted
    assert {value["decision"] for value in by_person.values()} == {"grant"}
    assert len(results) == 276 + len(granted)
    letters = Counter(one["reason"] for one in told("dlq", "list", flow)["letters"])
    assert letters == {"invalid": 2, "missing": 1, "not-json": 1, "wrong-type": 1}
    verdicts = {"result": 276 + len(granted), "quarantine": len(rejected) + 1, "dead-letter": 5, "filtered": wrong - 6, "review": 24}
    assert report["verdicts"] == verdicts, report
    explained = told("explain", flow, sorted(granted)[0])["events"][0]
    assert [one["cause"].get("who") for one in explained["passes"]] == [None, "ann"]
