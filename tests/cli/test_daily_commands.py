"""The daily commands as a user meets them: with a flow that is applied to the real stack, and without any."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from confluent_kafka import Consumer, KafkaException, TopicPartition

from ops.cli.main import run
from ops.run.lag import Behind, Lag
from processors.flow.project import BUILT_IN
from schemas.positions import Source
from schemas.vocabulary import Exit
from tests.stack import TestStack

Capture = pytest.CaptureFixture[str]
LINE = {
    "flight_id": "UA-1545-EWR-20130101T0515", "scheduled_at": "2013-01-01T10:15:00Z", "carrier": "UA", "flight": 1545,
    "origin": "EWR", "dest": "IAH", "distance": 1400.0, "time_hour": "2013-01-01T10:00:00Z",
}  # fmt: skip
FLOW = """
flow: {name}
version: 1.0.0
input:   {{topic: {name}-events, schema: flights.Departure, encoding: avro-single-object, id: flight_id, time: scheduled_at}}
steps:
  - validate: {{rules: departures}}
result:  {{topic: {name}-results, schema: flights.Departure}}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project."""
    monkeypatch.setenv("WEFT_PROJECT", str(tmp_path))
    monkeypatch.setenv("WEFT_DATA", str(tmp_path / "data"))
    return tmp_path


@pytest.fixture
def flow(folder: Path, stack: TestStack, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> str:
    """A flow of departures that is applied, and that no worker runs."""
    monkeypatch.setenv("WEFT_BOOTSTRAP", stack.bootstrap)
    monkeypatch.setenv("WEFT_REDIS", stack.redis_url)
    name = f"d{uuid4().hex[:8]}"
    (folder / "flows").mkdir()
    (folder / "flows" / f"{name}.yaml").write_text(FLOW.format(name=name))
    assert run(["flow", "apply", name, "--yes"]) == Exit.DONE
    capsys.readouterr()
    return name


@pytest.fixture
def told(capsys: Capture) -> Callable[..., Any]:
    """What a command prints as JSON."""

    def ask(*arguments: str) -> Any:
        assert run([*arguments, "--json"]) == Exit.DONE
        return json.loads(capsys.readouterr().out or "null")

    return ask


def test_produce_sends_what_was_asked_for_and_says_so(flow: str, folder: Path, told: Callable[..., Any]) -> None:
    sent = told("produce", flow, "--limit", "250", "--hostile")
    assert (sent["events"], sent["lookups"], sent["topic"]) == (250, 29_437, f"{flow}-events")
    assert sum(sent["partitions"].values()) == 250 + len(sent["hostile"])
    assert {one["verdict"] for one in sent["hostile"]} == {"result", "dead-letter", "filtered", "quarantine", "review"}
    file = folder / "some.ndjson"
    file.write_text("\n".join(json.dumps(LINE | {"flight": flight}) for flight in range(1, 6)))
    sent = told("produce", flow, "--from", str(file), "--limit", "4", "--rate", "40/s", "--no-lookups")
    assert (sent["events"], sent["lookups"]) == (4, 0)


def test_produce_to_a_flow_that_is_not_applied_says_so_at_once(flow: str, folder: Path, capsys: Capture) -> None:
    (folder / "flows" / "other.yaml").write_text(FLOW.format(name="other"))
    began_s = time.monotonic()
    assert run(["produce", "other", "--limit", "1"]) == Exit.USAGE
    assert time.monotonic() - began_s < 5
    said = capsys.readouterr().err
    assert "the flow other is not applied" in said
    assert "weft flow apply other" in said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_produce_that_is_interrupted_says_how_many_events_are_on_the_topic(
    flow: str, folder: Path, stack: TestStack, number: signal.Signals
) -> None:
    looking = Consumer({"bootstrap.servers": stack.bootstrap, "group.id": flow})

    def there() -> int:
        with suppress(KafkaException):  # a partition just made has no leader yet
            return sum(looking.get_watermark_offsets(TopicPartition(f"{flow}-events", partition), timeout=30)[1] for partition in range(4))
        return 0

    file = folder / "some.ndjson"
    file.write_text("\n".join(json.dumps(LINE | {"flight": flight}) for flight in range(1, 5_000)))
    signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever runs in the background ignores it, and so does what he starts
    command = [sys.executable, "-m", "ops.cli", "produce", flow, "--from", str(file), "--rate", "100/s", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as sending:
        until_s = time.monotonic() + 60
        while not there() and time.monotonic() < until_s:
            time.sleep(0.1)
        sending.send_signal(number)
        said = json.loads(sending.communicate(timeout=60)[0])
    assert sending.returncode == 130
    assert said["interrupted"]
    assert 0 < said["events"] < 4_999
    assert said["events"] == there() == sum(said["partitions"].values())
    looking.close()


def test_a_flow_that_no_worker_runs_has_nothing_to_show(flow: str, told: Callable[..., Any], capsys: Capture) -> None:
    assert told("results", flow) is None
    assert told("dlq", "list", flow) == {"flow": flow, "count": 0, "reasons": [], "letters": []}
    assert told("dlq", "redrive", flow, "--all", "--yes") == []
    assert told("review", "list", flow) == []
    for command in (["dlq", "show", flow, "0/0"], ["dlq", "show", flow, "9/0"], ["review", "reject", flow, "abcd1234", "--why", "no"]):
        assert run(command) == Exit.USAGE
        assert "list" in capsys.readouterr().err
    assert run(["report", flow]) == Exit.FAILED
    assert "was decided yet" in " ".join(capsys.readouterr().err.split())
    assert run(["explain", flow, "UA-1"]) == Exit.FAILED
    assert "No decision about UA-1" in capsys.readouterr().err


def test_lag_shows_the_input_whole_and_other_topics_only_where_something_waits(
    flow: str, told: Callable[..., Any], capsys: Capture
) -> None:
    every = told("lag", flow)["partitions"]
    assert {one["topic"] for one in every} > {f"{flow}-events"}
    for arguments, shown in (([], [one for one in every if one["topic"] == f"{flow}-events"]), (["--all"], every)):
        assert run(["lag", flow, *arguments]) == Exit.DONE
        out = capsys.readouterr().out
        assert sum(line.startswith(flow) for line in out.splitlines()) == len(shown)
        assert ("Nothing waits in" in out) == (not arguments)


def test_a_topic_with_one_row_that_waits_is_shown_with_all_its_partitions() -> None:
    retry = [Behind(Source("f.retry.1s", partition), "retry", 0, 9, partition, exact=True) for partition in range(2)]
    rest = [Behind(Source(topic, 0), kind, 0, 0, 0, exact=True) for topic, kind in (("in", "input"), ("f.resume", "resume"))]
    assert Lag([*rest, *retry], {}).empty() == ["f.resume"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["produce", "departure-delays", "--rate", "fast"], "no rate"),
        (["produce", "departure-delays", "--from", "nowhere.ndjson"], "nowhere.ndjson"),
        (["produce", "no-such-flow"], "no-such-flow"),
        (["dlq", "redrive", "departure-delays"], "Which dead letters?"),
        (["dlq", "redrive", "departure-delays", "0/1", "--all"], "Which dead letters?"),
        (["review", "approve", "departure-delays", "abcd"], "--why"),
        (["review", "reject", "departure-delays", "abcd", "--why", " "], "needs a reason"),
        (["review", "approve", "departure-delays", "abcd", "--why", "x", "--set", "score"], "names no value"),
    ],
)
def test_a_wrong_use_is_one_sentence(folder: Path, arguments: list[str], said: str, capsys: Capture) -> None:
    assert run(arguments) == Exit.USAGE
    err = " ".join(capsys.readouterr().err.split())
    assert said in err
    assert "Traceback" not in err
    assert folder


def test_events_of_another_contract_must_come_from_a_file(folder: Path, capsys: Capture) -> None:
    (folder / "flows").mkdir()
    text = (BUILT_IN["flows"] / "departure-delays.yaml").read_text()
    (folder / "flows" / "planes.yaml").write_text(
        text.replace("flow: departure-delays", "flow: planes").replace("flights.Departure,", "flights.Plane,")
    )
    assert run(["produce", "planes"]) == Exit.USAGE
    assert "--from" in capsys.readouterr().err
    assert run(["produce", "planes", "--hostile"]) == Exit.USAGE
    assert "hostile" in capsys.readouterr().err
