"""A flow run by its command: workers, web views, pause, a new version, the end."""

import signal
import time
import urllib.error
import urllib.request
from pathlib import Path

import orjson
import psutil
import pytest

from streams.slot import Slot
from tests.integration.readings import PARTITIONS, Readings
from tests.stack import TestStack


@pytest.fixture
def readings(stack: TestStack, tmp_path: Path) -> Readings:
    made = Readings(stack, tmp_path)
    made.weft("flow", "apply", made.name, "--partitions", str(PARTITIONS), "--yes")
    return made


def _view(readings: Readings, path: str, accept: str = "*/*") -> tuple[int, bytes]:
    port = Slot(readings.name, 0, 1, readings.folder / "data").kept_port()
    try:
        asked = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers={"Accept": accept})
        with urllib.request.urlopen(asked, timeout=5) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def _done(readings: Readings) -> int:
    lane = readings.status().get("lane")
    return sum(lane["verdicts"].values()) if lane else 0


def test_two_workers_share_a_flow_until_there_is_nothing_to_do(readings: Readings) -> None:
    readings.send(5_000)
    said = readings.weft("run", readings.name, "--workers", "2", "--until-idle")
    assert "4,500 result, 400 filtered, 100 dead-letter" in said
    found, filtered = readings.outcomes(), readings.filtered()
    assert set(found.values()) == {1}
    assert len(found) + len(filtered) == 5_000
    lag = orjson.loads(readings.weft("lag", readings.name, "--json"))
    assert [row["rows"] for row in lag["partitions"]] == [0] * len(lag["partitions"])
    assert all(row["end"] == row["committed"] for row in lag["partitions"] if row["kind"] == "input")
    assert readings.groups() == []
    readings.weft("audit", "verify", readings.name)


def test_lag_counts_rows_and_not_the_markers_of_transactions(readings: Readings) -> None:
    readings.send(1_000)
    lag = orjson.loads(readings.weft("lag", readings.name, "--json"))
    assert sum(row["rows"] for row in lag["partitions"]) == 1_000
    assert "1,000 rows to do" in readings.weft("lag", readings.name)


def test_the_web_views_say_how_a_worker_is(readings: Readings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Readings, "environment", {**readings.environment, "WEFT_TRACE_SHARE": "1"})
    slot = Slot(readings.name, 0, 1, readings.folder / "data")
    readings.send(500)
    with readings.running("--workers", "1"):
        readings.until(lambda: _done(readings) == 500)
        assert orjson.loads(_view(readings, "/health")[1]) == {"healthy": True, "reasons": []}
        assert orjson.loads(_view(readings, "/ready")[1]) == {"ready": True, "reasons": []}
        metrics = _view(readings, "/metrics")[1].decode()
        assert f'weft_events_total{{flow="{readings.name}"}} 500.0' in metrics
        assert f'weft_lag_records{{flow="{readings.name}",partition="0",topic="in-{readings.name}"}} 0.0' in metrics
        assert 'reason="truncated"' in metrics or 'verdict="dead-letter"' in metrics
        assert readings.status()["lane"]["verdicts"]["dead-letter"] == 10
        readings.until(slot.spans_file.exists)
        exemplars = _view(readings, "/metrics", "application/openmetrics-text;version=1.0.0")[1].decode()
        assert 'trace_id="' in exemplars
        readings.until(lambda: len(_outcome_spans(slot)) == 460)
    assert {headers["traceparent"].decode() for _, headers in readings.records(f"out-{readings.name}")} < _outcome_spans(slot)


def _outcome_spans(slot: Slot) -> set[str]:
    """What a consumer of an outcome is told of the span that wrote it."""
    lines = [orjson.loads(line) for line in slot.spans_file.read_bytes().splitlines()]
    spans = [span for line in lines for span in line["resourceSpans"][0]["scopeSpans"][0]["spans"]]
    return {f"00-{span['traceId']}-{span['spanId']}-01" for span in spans if span["name"].startswith("send ")}


def test_a_paused_flow_stands_still_also_for_a_worker_that_starts_later(readings: Readings) -> None:
    readings.weft("flow", "pause", readings.name, "--why", "a test")
    readings.send(300)
    with readings.running("--workers", "1"):
        readings.until(lambda: readings.status().get("lane"))
        time.sleep(1.5)
        assert _done(readings) == 0
        assert readings.status()["paused"]["why"] == "a test"
        readings.weft("flow", "resume", readings.name)
        readings.until(lambda: _done(readings) == 300)
        readings.weft("flow", "pause", readings.name, "--why", "again")
        readings.until(lambda: readings.status()["paused"])
        readings.send(300)
        time.sleep(1.0)
        assert _done(readings) == 300


def test_workers_go_over_to_a_version_that_is_applied_while_they_run(readings: Readings) -> None:
    readings.send(500)
    with readings.running("--workers", "1"):
        readings.until(lambda: _done(readings) == 500)
        readings.write("1.1.0", out=1)
        readings.weft("flow", "apply", readings.name, "--yes")
        readings.until(lambda: (readings.status().get("lane") or {}).get("flow") == f"{readings.name}@1.1.0")
        readings.send(500)
        readings.until(lambda: _done(readings) == 500)
    versions = [headers["ce_weftflow"].decode() for _, headers in readings.records(f"out-{readings.name}")]
    assert sorted(set(versions)) == [f"{readings.name}@1.0.0", f"{readings.name}@1.1.0"]
    readings.weft("audit", "verify", readings.name)


def _alive(family: list[psutil.Process], within_s: float) -> list[psutil.Process]:
    """Which of these still run; one that has ended and that nobody has asked for yet does not."""
    left: list[psutil.Process] = psutil.wait_procs(family, timeout=within_s)[1]
    return [process for process in left if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]


def test_a_signal_drains_within_ten_seconds_and_leaves_no_process(readings: Readings) -> None:
    readings.send(20_000)
    with readings.running("--workers", "1") as supervisor:
        readings.until(lambda: readings.status().get("first_batch_s"))
        family = psutil.Process(supervisor.pid).children(recursive=True)
        began = time.monotonic()
        supervisor.send_signal(signal.SIGTERM)
        assert supervisor.wait(15) == 0, readings.log()
        assert time.monotonic() - began < 10
        assert _alive(family, 2) == []
    assert '"drained"' in readings.log()
    assert readings.groups() == []


def test_workers_end_with_a_supervisor_that_is_killed(readings: Readings) -> None:
    with readings.running("--workers", "1") as supervisor:
        readings.until(lambda: readings.status().get("lane"))
        family = psutil.Process(supervisor.pid).children(recursive=True)
        assert family
        supervisor.kill()
        assert _alive(family, 15) == []


def test_a_second_run_of_a_flow_is_refused_in_a_sentence(readings: Readings) -> None:
    with readings.running("--workers", "1"):
        readings.until(lambda: readings.status().get("lane"))
        said = readings.weft("run", readings.name, code=2)
    assert "already" in said
    assert "Traceback" not in said


def test_an_unreachable_broker_is_one_sentence_and_its_exit_code(readings: Readings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Readings, "environment", {**readings.environment, "WEFT_BOOTSTRAP": "127.0.0.1:9"})
    said = readings.weft("run", readings.name, code=3)
    assert "no Kafka broker answers at 127.0.0.1:9" in said
    assert "Traceback" not in said
