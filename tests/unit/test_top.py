"""What `weft top` makes of what workers say: rates between two looks, and workers that go away."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from ops.cli.main import run
from ops.run.watching import Watching
from ops.top.drawn import drawn
from ops.top.exposition import parse
from ops.top.view import View, views
from ops.top.workers import Look, Said, Workers, slots
from schemas.errors import UsageError
from schemas.vocabulary import Exit
from streams.slot import Slot, run_folder

STATUS: dict[str, Any] = {
    "flow": "f", "slot": 0, "pid": 1, "memory_bytes": 5_000_000, "reasons": ["enrich waits: Redis is down"], "paused": None,
    "lane": {"waiting_for": {"enrich": "Redis is down"}}, "breakers": {"m@1": "open"}, "last_failure": "",
}  # fmt: skip


def metrics(events: int, spent: float) -> str:
    return f"""# HELP weft_events_total Rows settled.
weft_events_total{{flow="f"}} {events}.0
weft_outcomes_total{{flow="f",reason="",rule="",verdict="result"}} {events - 10}.0
weft_outcomes_total{{flow="f",reason="invalid",rule="a \\"b\\", c",verdict="dead-letter"}} 10.0
weft_step_seconds_sum{{flow="f",step="decode"}} {spent}
weft_step_seconds_count{{flow="f",step="decode"}} {events / 100}
weft_step_rows_total{{flow="f",step="decode"}} {events}
weft_lag_records{{flow="f",partition="0",topic="in"}} 7
weft_oldest_age_seconds{{flow="f",partition="0",topic="in"}} 3.5
weft_lag_records{{flow="f",partition="0",topic="f.retry.1s"}} 4
weft_oldest_age_seconds{{flow="f",partition="0",topic="f.retry.1s"}} 300
weft_reviews_open{{flow="f"}} 2
weft_drift_psi{{column="x",flow="f",partition="0",step="drift"}} 0.3
weft_drift_psi_threshold{{column="x",flow="f",partition="0",step="drift"}} 0.1
weft_flow_version{{flow="f",version="1.2.0",worker="f-0"}} 1
weft_broken{{"""


def said(number: int, text: str | None) -> Said:
    slot = Slot("f", number, 2, Path("/nowhere"))
    return Said(slot, None) if text is None else Said(slot, STATUS | {"slot": number}, parse(text))


def one(before: Look | None, now: Look) -> View:
    (view,) = views(before, now)
    return view


def test_rates_are_those_between_two_looks() -> None:
    view = one(Look(100.0, [said(0, metrics(1_000, 1.0))]), Look(102.0, [said(0, metrics(3_000, 1.4))]))
    assert view.events_per_s == 1_000
    assert view.outcomes == {"result": 2_990, "dead-letter": 10}
    assert view.outcomes_per_s == {"result": 1_000, "dead-letter": 0}
    assert (view.lag, view.oldest_s, view.retrying, view.reviews_open, view.versions) == (7, 3.5, 4, 2, ["1.2.0"])
    (decode, enrich) = view.steps
    assert decode.batch_ms == pytest.approx(20)
    assert (decode.rows_per_s, decode.share, enrich.waits) == (1_000, 1.0, "Redis is down")
    assert view.drift == {"x": (0.3, 0.1)}
    assert (view.up, view.of, view.ready) == (1, 1, 0)


def test_a_worker_that_started_again_counts_from_nothing_and_one_that_is_gone_from_no_look() -> None:
    before = Look(0.0, [said(0, metrics(5_000, 9.0)), said(1, metrics(500, 1.0))])
    view = one(before, Look(1.0, [said(0, metrics(100, 0.1)), said(1, None)]))
    assert (view.up, view.of, view.events_per_s) == (1, 2, 100)
    gone = one(before, Look(1.0, [said(0, None), said(1, None)]))
    assert (gone.up, gone.events_per_s, gone.steps) == (0, 0, [])
    assert one(None, before).events_per_s == 0


def test_whatever_workers_say_can_be_drawn_and_told() -> None:
    for now in (Look(1.0, []), Look(1.0, [said(0, None)]), Look(1.0, [said(0, "")]), Look(1.0, [said(0, metrics(50, 0.1))])):
        found = views(None, now)
        assert drawn(found, "here")
        json.dumps([view.as_json() for view in found])


ODD: tuple[dict[str, Any], ...] = (
    {"reasons": 7},
    {"reasons": [[]]},
    {"lane": [1]},
    {"lane": {"verdicts": {"result": "x"}}},
    {"lane": {"verdicts": {"result": 2**70}}},
    {"lane": {"sources": 3}},
    {"lane": {"waiting_for": ["a"]}},
    {"paused": "yes"},
    {"paused": {"why": 3}},
    {"breakers": [1]},
    {"memory_bytes": "much"},
    {"pid": None},
    {"last_failure": {}},
)
ODD_METRICS = b"""weft_lag_records NaN
weft_lag_records 7
weft_lag_records{topic="in"} +Inf
weft_flow_version 1
weft_drift_psi 1
weft_oldest_age_seconds 1
weft_reviews_open{flow="a"} 1e308
weft_reviews_open{flow="b"} 1e308
"""


@contextmanager
def answering(told: dict[str, bytes]) -> Iterator[int]:
    """Answers these paths, and breaks off in the middle of one that is not among them."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = told.get(self.path)
            self.send_response(200)
            self.send_header("Content-Length", str(len(body) if body is not None else 1_000))
            self.end_headers()
            self.wfile.write(body if body is not None else b"weft_ev")

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


def held(data: Path, port: int) -> None:
    """A flow that one worker was killed of."""
    folder = run_folder(data, "f")
    (folder / "0").mkdir(parents=True)
    (folder / "supervisor.lock").write_text(json.dumps({"workers": 1}))
    (folder / "0" / "web.json").write_text(json.dumps({"port": port}))


@pytest.mark.parametrize(
    ("told", "up"),
    [
        ({"/flows": json.dumps(STATUS).encode(), "/metrics": metrics(5, 0.1).encode()}, 1),
        ({"/flows": json.dumps(STATUS).encode()}, 0),  # it dies while it says its metrics
        ({}, 0),
        ({"/flows": b"[]"}, 0),  # another program has the port
        *(({"/flows": json.dumps(STATUS | odd).encode(), "/metrics": b""}, 0) for odd in ODD),
        ({"/flows": b"[" * 100_000, "/metrics": b""}, 0),
        ({"/flows": json.dumps(STATUS).encode() + b" " * 5_000_000, "/metrics": b""}, 0),  # no more than that is read
        ({"/flows": json.dumps(STATUS).encode(), "/metrics": ODD_METRICS}, 1),
    ],
)
def test_a_worker_that_dies_while_it_is_asked_is_gone(told: dict[str, bytes], up: int, tmp_path: Path) -> None:
    with answering(told) as port, Workers(tmp_path, "f") as workers:
        held(tmp_path, port)
        view = one(None, workers.look())
        assert view.up == up
        assert drawn([view], "here")
        watching = Watching([Slot("f", 0, 1, tmp_path)])
        until_s = time.monotonic() + 5
        while not watching.looked(0.0) and time.monotonic() < until_s:
            time.sleep(0.005)
        assert len(watching.statuses) >= up
        assert watching.reasons() == (STATUS["reasons"] if watching.statuses else [])
        watching.close()


def test_a_flow_that_was_never_run_is_said_and_one_that_ended_is_not_watched(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="never run"):
        slots(tmp_path, "f")
    held(tmp_path, 1)
    assert len(slots(tmp_path)) == 1
    (run_folder(tmp_path, "f") / "supervisor.lock").write_text(json.dumps({"workers": 1, "ended": 0}))
    assert slots(tmp_path) == []


def test_once_is_one_look_for_scripts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("WEFT_PROJECT", str(tmp_path))
    monkeypatch.setenv("WEFT_DATA", str(tmp_path))
    told = {"/flows": json.dumps(STATUS).encode(), "/metrics": metrics(5, 0.1).encode()}
    with answering(told) as port:
        held(tmp_path, port)
        assert run(["top", "--once", "--json", "--interval", "0.2"]) == Exit.DONE
        (view,) = json.loads(capsys.readouterr().out)
        assert (view["flow"], view["up"]) == ("f", 1)
        assert run(["telemetry", "targets"]) == Exit.DONE
        assert json.loads(capsys.readouterr().out)[0]["targets"] == [f"127.0.0.1:{port}"]
    assert run(["top", "--once", "--interval", "0.2"]) == Exit.UNREACHABLE
    assert "no worker" in capsys.readouterr().err
