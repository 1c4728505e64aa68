"""`weft drift reference`: past events through the flow's own steps, kept as a file that `drift` reads."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from ops.cli.main import run
from ops.reference import watch
from processors.flow.project import BUILT_IN, ROOT, FolderProject
from schemas.vocabulary import Exit

FLOW = """
flow: trips
version: 1.0.0
input: {topic: trips, schema: flights.Departure, encoding: json, id: flight_id, time: scheduled_at}
steps:
  - filter: {when: departed_at == null, reason: cancelled}
  - enrich: {lookup: "plane:{tailnum}", schema: flights.Plane, into: plane, missing: quarantine}
  - filter: {when: plane_seats < 2, reason: tiny}
  - drift: {columns: [dep_delay], reference: trips-past, window: 500}
result: {topic: trips.out, schema: flights.DelayDecision}
"""


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Path]:
    """A project with one flow, whose drift step has no reference yet."""
    (tmp_path / "flows").mkdir()
    (tmp_path / "flows" / "trips.yaml").write_text(FLOW)
    before = os.environ.get("WEFT_PROJECT")
    yield tmp_path
    os.environ.pop("WEFT_PROJECT") if before is None else os.environ.update(WEFT_PROJECT=before)


def events(file: Path, rows: int = 600) -> Path:
    """A file of departures, one a minute from midnight on, each seventh cancelled."""
    lines = []
    for row in range(rows):
        at = 1_356_998_400_000 + row * 60_000
        gone = None if row % 7 == 0 else at
        lines.append(
            orjson.dumps(
                {
                    "flight_id": f"UA-{row}-EWR-20130101T0515",
                    "scheduled_at": at,
                    "departed_at": gone,
                    "dep_delay": None if gone is None else float(row % 50),
                    "carrier": "UA",
                    "flight": row,
                    "tailnum": "N14228",
                    "origin": "EWR",
                    "dest": "BOS",
                    "distance": 200.0,
                    "time_hour": "2013-01-01T00:00:00Z",
                }
            )
        )
    file.write_bytes(b"\n".join(lines))
    return file


def weft(project: Path, *arguments: str) -> int:
    """One command in that project."""
    return run(["--project", str(project), "drift", "reference", "trips", *arguments])


def test_the_reference_counts_the_rows_that_reach_the_step_within_the_time(project: Path) -> None:
    file = events(project / "past.ndjson")
    assert weft(project, "--events", str(file), "--from", "2013-01-01", "--to", "2013-01-01T07:00:00Z") == Exit.DONE
    made = json.loads((project / "references" / "trips-past.json").read_text())
    assert made["rows"] == 360, "420 minutes, each seventh cancelled"
    assert list(made["columns"]) == ["dep_delay"]
    assert sum(made["columns"]["dep_delay"]["counts"]) == 360
    assert made["columns"]["dep_delay"]["counts"][0] == 0


def test_the_same_events_give_the_same_file_and_the_flow_then_reads_it(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = events(project / "past.ndjson")
    made = project / "references" / "trips-past.json"
    assert weft(project, "--events", str(file)) == Exit.DONE
    first = made.read_bytes()
    assert weft(project, "--events", str(file)) == Exit.DONE
    assert made.read_bytes() == first
    capsys.readouterr()
    run(["--project", str(project), "flow", "check", "trips", "--json"])
    (checked,) = json.loads(capsys.readouterr().out)
    assert not any("trips-past" in mistake["sentence"] for mistake in checked["mistakes"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--events", "nowhere.ndjson"], "nowhere.ndjson can't be read"),
        (["--from", "monday"], "--from monday is no time"),
        (["--columns", "plane_seats"], "`plane_seats` can't be had from the events alone: step enrich-plane gives it, and asks a service"),
        (["--columns", "nothing"], "`nothing` can't be had from the events alone: no step before gives it"),
        (["--name", "other"], "has no drift step with the reference `other`"),
    ],
)
def test_what_can_not_be_made_is_said_in_a_sentence(
    project: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert weft(project, *arguments) == Exit.USAGE
    assert said in capsys.readouterr().err.replace("\n", " ")


def test_a_time_in_which_nothing_happened_is_said(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert weft(project, "--events", str(events(project / "past.ndjson")), "--from", "2020-01-01") == Exit.USAGE
    assert "no event counts" in capsys.readouterr().err


def test_the_reference_of_a_shipped_flow_goes_into_the_project_and_what_is_built_in_stays(project: Path) -> None:
    built_in = BUILT_IN["references"] / "departures-january.json"
    before = built_in.read_bytes()
    command = ["--project", str(project), "drift", "reference", "departure-delays", "--columns", "dep_delay"]
    assert run([*command, "--events", str(events(project / "past.ndjson"))]) == Exit.DONE
    made = json.loads((project / "references" / "departures-january.json").read_text())
    assert made["rows"] > 0
    assert built_in.read_bytes() == before


def test_of_this_repository_the_reference_is_the_one_built_in() -> None:
    assert watch(FolderProject(ROOT), "departure-delays", (), None).file == BUILT_IN["references"] / "departures-january.json"
