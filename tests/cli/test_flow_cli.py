"""`weft flow`: what it prints, and the exit codes."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from ops.cli.main import run
from processors.flow.project import BUILT_IN
from tests.models import trained
from tests.unit.flow_project import small, write

Said = Any  # the fixture capsys


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each test has a project folder of its own."""
    monkeypatch.setenv("WEFT_PROJECT", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "220")


@pytest.fixture
def models() -> None:
    """The trained models, which the shipped flow asks."""
    trained()


EXPECTED = [
    ("UA-1545-EWR-20130101T0515", "result", "", "ignore"),
    ("UA-856-EWR-20130101T0733", "result", "", "notify"),
    ("UA-1148-EWR-20130101T0905", "result", "", "ignore"),
    ("MQ-4558-LGA-20130101T0850", "result", "", "ignore"),
    ("EV-4308-EWR-20130101T1630", "filtered", "filter", None),
    ("AA-301-LGA-20130101T0600", "result", "", "ignore"),
    ("MQ-3944-JFK-20130101T1835", "review", "policy", None),
    ("MQ-4478-LGA-20130101T0900", "result", "", "ignore"),
    ("US-1632-EWR-20130727T0106", "filtered", "policy", None),
    ("UA-1546-EWR-20130101T0515", "quarantine", "policy", None),
    ("UA-1547-EWR-20130101T0515", "dead-letter", "invalid", None),
    ("flights.departures/0/11", "dead-letter", "truncated", None),
    ("flights.departures/0/12", "dead-letter", "trailing-bytes", None),
    ("flights.departures/0/13", "dead-letter", "unknown-schema", None),
    ("flights.departures/0/14", "filtered", "tombstone", None),
]
"""What becomes of the samples of departure-delays, whatever the models were trained to."""


def test_check_without_mistakes_says_so(tmp_path: Path, capsys: Said) -> None:
    small(tmp_path)
    assert run(["flow", "check", "small"]) == 0
    assert "small@1.0.0 has no mistakes: 4 steps, flights.departures -> flights.small" in capsys.readouterr().out


def test_check_shows_each_mistake_with_its_line_a_caret_and_what_to_do(tmp_path: Path, capsys: Said) -> None:
    small(tmp_path, ("score > 0.8", "scor > 0.8"))
    assert run(["flow", "check", "small"]) == 2
    lines = capsys.readouterr().out.splitlines()
    at = next(index for index, line in enumerate(lines) if "there is no column `scor` here" in line)
    assert lines[at].split()[0].endswith("flows/small.yaml:7:20")
    assert lines[at + 2].index("^") == lines[at + 1].index('"scor')
    assert lines[at + 2].endswith("did you mean `score`?")


def test_check_as_json_has_every_mistake(tmp_path: Path, capsys: Said) -> None:
    small(tmp_path, ("score > 0.8", "scor > 0.8"), ("deadline: 15m", "deadline: 1s"))
    assert run(["flow", "check", "small", "--json"]) == 2
    (told,) = json.loads(capsys.readouterr().out)
    assert [mistake["line"] for mistake in told["mistakes"]] == [7, 9]


def test_a_flow_that_is_not_there_is_a_sentence_and_exit_2(tmp_path: Path, capsys: Said) -> None:
    small(tmp_path)
    assert run(["flow", "check", "smal"]) == 2
    said = capsys.readouterr().err
    assert "there is no flow `smal`" in said
    assert "did you mean `small`?" in said


def test_list_names_the_projects_flows_and_the_built_in_ones_where_asked_for_or_alone(tmp_path: Path, capsys: Said) -> None:
    def listed(*options: str) -> list[str]:
        assert run(["flow", "list", "--json", *options]) == 0
        return [flow["flow"] for flow in json.loads(capsys.readouterr().out)]

    assert listed() == ["departure-delays", "loan-decisions"]
    small(tmp_path)
    assert listed() == ["small"]
    assert listed("--all") == ["departure-delays", "loan-decisions", "small"]


def test_show_says_what_each_step_needs_and_gives(tmp_path: Path, capsys: Said) -> None:
    small(tmp_path)
    assert run(["flow", "show", "small", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [(step["step"], step["needs"]) for step in told["steps"][1:]] == [
        ("filter-cancelled", ["departed_at"]),
        ("infer-late", ["dep_delay"]),
        ("decide", ["score"]),
    ]
    assert told["topics"]["retries"] == ["small.retry.1s", "small.retry.30s"]
    assert run(["flow", "show", "small"]) == 0
    assert "small.dead-letters" in capsys.readouterr().out


def test_schema_prints_the_published_one(capsys: Said) -> None:
    assert run(["flow", "schema"]) == 0
    assert json.loads(capsys.readouterr().out)["properties"]["flow"]


@pytest.mark.usefixtures("models")
def test_the_samples_of_the_shipped_flow_end_as_they_should(capsys: Said) -> None:
    assert run(["flow", "test", "departure-delays", "--json"]) == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(one["id"], one["verdict"], one.get("reason", ""), one.get("decision")) for one in told] == EXPECTED
    assert {one["model"] for one in told if one["verdict"] == "result"} == {"arrival-delay@1.0.0"}


@pytest.mark.usefixtures("models")
def test_a_person_sees_verdicts_and_reasons_in_a_table(capsys: Said) -> None:
    assert run(["flow", "test", "departure-delays", "--score", "0.9"]) == 0
    said = capsys.readouterr().out
    assert "arrival-delay@fixed" in said
    assert "15 events: 6 result" in said
    assert "extreme-delay" in said


@pytest.mark.usefixtures("models")
def test_what_is_not_as_expected_is_told_and_exit_1(tmp_path: Path, capsys: Said) -> None:
    expected = tmp_path / "expected.ndjson"
    expected.write_text(
        "".join(json.dumps({"line": line, "verdict": verdict}) + "\n" for line, (_, verdict, _, _) in enumerate(EXPECTED, 1))
    )
    arguments = ["flow", "test", "departure-delays", "--score", "0.1", "--expect", str(expected)]
    assert run(arguments) == 0
    assert f"All of them end as {expected} says." in capsys.readouterr().out
    expected.write_text(expected.read_text().replace("quarantine", "review").replace('{"line": 15', '{"line": 99'))
    capsys.readouterr()
    assert run(arguments) == 1
    said = capsys.readouterr().err
    assert "line 10: verdict is 'quarantine', not 'review'" in said
    assert "line 99: there is no such event" in said
    assert "line 15: filtered was not expected" in said


@pytest.mark.usefixtures("models")
def test_events_of_a_file_of_ones_own_with_a_lookup_of_ones_own(tmp_path: Path, capsys: Said) -> None:
    events, first = tmp_path / "mine.ndjson", (BUILT_IN["flows"] / "samples/departure-delays.ndjson").read_text().splitlines()[0]
    events.write_text(first)
    planes = tmp_path / "planes.json"
    planes.write_text(json.dumps({"plane:N14228": {"seats": 4}}))
    assert run(["flow", "test", "departure-delays", "--events", str(events), "--lookup", str(planes), "--json"]) == 0
    (told,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (told["verdict"], told["rule"]) == ("result", "private-plane")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "events.ndjson:1: this line is no JSON"),
        ("[1]", "events.ndjson:1: an event is a JSON object"),
        ('{"flight_id": 3}', "events.ndjson:1: "),
        ('\n{"$valu": null}', "events.ndjson:2: there is no `$valu`"),
        ('{"$value": "*"}', "events.ndjson:1: "),
    ],
)
def test_events_that_can_not_be_read_are_told_with_their_line(tmp_path: Path, capsys: Said, text: str, sentence: str) -> None:
    small(tmp_path)
    events = tmp_path / "events.ndjson"
    events.write_text(text)
    assert run(["flow", "test", "small", "--events", str(events), "--score", "1"]) == 2
    assert sentence in capsys.readouterr().err


def test_a_record_that_breaks_nothing_but_itself(tmp_path: Path, capsys: Said) -> None:
    small(tmp_path)
    hostile = [b"", b"\x00", b"\xc3\x01", b"\xff" * 40, b"{}", bytes(range(256))]
    lines = [json.dumps({"$value": base64.b64encode(value).decode()}) for value in hostile]
    write(tmp_path, {"flows/samples/small.ndjson": "\n".join(lines)})
    assert run(["flow", "test", "small", "--score", "1", "--json"]) == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {one["verdict"] for one in told} == {"dead-letter"}
    assert len(told) == len(hostile)
