"""The checker: all mistakes at once, each in its place, with what to do; never a traceback."""

import json
import re
import tempfile
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.flow.check import check
from processors.flow.plan import Mistake
from processors.flow.project import FolderProject
from schemas.errors import FlowError
from tests.models import trained
from tests.unit.flow_project import SMALL, small, write

ROOT = Path(__file__).parents[2]


def mistakes(folder: Path, *changes: tuple[str, str]) -> tuple[Mistake, ...]:
    return check(small(folder, *changes), "small").mistakes


def only(folder: Path, *changes: tuple[str, str]) -> Mistake:
    found = mistakes(folder, *changes)
    assert len(found) == 1, found
    return found[0]


def test_a_sound_flow_has_no_mistakes(tmp_path: Path) -> None:
    checked = check(small(tmp_path), "small")
    assert checked.mistakes == ()
    assert [step.plan.name for step in checked.placed] == ["decode", "filter-cancelled", "infer-late", "decide"]
    assert str(checked.columns["decision"]) == "string"


def test_the_shipped_flow_has_no_mistakes() -> None:
    trained()
    assert [str(mistake) for mistake in check(FolderProject(), "departure-delays").mistakes] == []


def test_a_flow_that_is_not_there_is_named_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(FlowError, match="no flow `smal`") as raised:
        check(small(tmp_path), "smal")
    assert raised.value.hint == "did you mean `small`?"


def test_a_wrong_word_is_told_in_its_place_with_the_nearest_valid_one(tmp_path: Path) -> None:
    found = only(tmp_path, ("encoding: avro-single-object", "encodng: json, encoding: json"))
    assert (found.line, found.column) == (3, 63)
    assert found.hint == "did you mean `encoding`?"
    assert found.file.endswith("flows/small.yaml")


@pytest.mark.parametrize(
    ("old", "new", "line", "sentence", "hint"),
    [
        ("version: 1.0.0", "version: 1.0", 2, "1.0 is a number", "write it in quotes"),
        ("version: 1.0.0", "version: one", 2, "`one` is not of the form", "e.g. `1.0.0`"),
        ("avro-single-object", "avro-singel-object", 3, "`avro-singel-object` can't stand here", "did you mean `avro-single-object`?"),
        ("flights.Departure,", "flights.Departur,", 3, "there is no contract `flights.Departur`", "did you mean `flights.Departure`?"),
        ("id: flight_id", "id: flightid", 3, "the events have no field `flightid`", "did you mean `flight_id`?"),
        ("time: scheduled_at", "time: origin", 3, "`origin` is string, but a timestamp is needed", "valid: "),
        ("id: flight_id", "dedupe: 24h", 3, "`dedupe` needs `id`", ""),
        ("- decide", "- decode", 7, "there is no step `decode`", "the flow's `input` says"),
        ("- decide", "- deside", 7, "there is no step `deside`", "did you mean `decide`?"),
        ("departed_at == null", "departedat == null", 5, "there is no column `departedat`", "did you mean `departed_at`?"),
        ("departed_at == null", "departed_at ==", 5, "", ""),
        ("score > 0.8", "score", 7, "`score` gives double, but bool is needed", ""),
        ("model: late", "model: lat", 6, "lat", ""),
        ("deadline: 15m", "deadline: 30s", 9, "`deadline` (30s) must be longer than the longest of `retries` (30s)", ""),
        ("[1s, 30s]", "[30s, 1s]", 9, "each of `retries` must be longer", ""),
        ("deadline: 15m", "deadline: 15 minutes", 9, "a duration is a whole number and one of", ""),
        ("topic: flights.small", "topic: flights.departures", 8, "the results would be events of the same flow again", "choose another"),
        ("topic: flights.small", "topic: small.ledger", 8, "topics that begin with `small.` are the flow's own", "choose another"),
        ("flow: small", "flow: smaller", 1, "this file is named small.yaml, but the flow in it `smaller`", "name both alike"),
        ("flights.DelayDecision", "flights.Weather", 8, "no step gives any field of flights.Weather", ""),
        ("result: {topic: flights.small, schema: flights.DelayDecision}\n", "", 1, "`result` is missing here", ""),
    ],
)
def test_each_mistake_says_where_what_and_what_to_do(tmp_path: Path, old: str, new: str, line: int, sentence: str, hint: str) -> None:
    found = mistakes(tmp_path, (old, new))
    assert found, "no mistake was found"
    first = next((mistake for mistake in found if sentence in mistake.sentence), None)
    assert first is not None, found
    assert first.line == line
    assert first.hint.startswith(hint) or hint in first.hint


def test_a_step_out_of_order_is_told_with_the_line_of_the_step_that_it_needs(tmp_path: Path) -> None:
    infer, decide = SMALL.splitlines()[5:7]
    found = only(tmp_path, (f"{infer}\n{decide}", f"{decide}\n{infer}"))
    assert (found.line, found.sentence) == (6, "there is no column `score` here")
    assert found.hint == "`infer-late` gives it in line 7: move that step up"


def test_a_result_field_that_no_step_gives_is_a_mistake(tmp_path: Path) -> None:
    decide = SMALL.splitlines()[6]
    found = only(tmp_path, (f"{decide}\n", ""))
    assert found.sentence == "flights.DelayDecision needs `decision` (string), and no step gives it"


def test_a_result_field_of_another_type_is_a_mistake(tmp_path: Path) -> None:
    contract = '{"type": "record", "name": "t.Odd", "fields": [{"name": "distance", "type": "int"}, {"name": "flight", "type": "long"}]}'
    write(tmp_path, {"schemas/t.Odd.avsc": contract})
    found = only(tmp_path, ("flights.DelayDecision", "t.Odd"))
    assert found.sentence == "t.Odd needs `distance` as int32, but here it is double"


def test_all_mistakes_are_told_at_once_and_none_follows_from_another(tmp_path: Path) -> None:
    found = mistakes(
        tmp_path,
        ("departed_at ==", "departedat =="),
        ("deadline: 15m", "deadline: 1s"),
        ("- infer", "- infr"),
        ("id: flight_id", "id: flightid"),
    )
    assert [mistake.line for mistake in found] == [3, 5, 6, 9]


def test_a_mistake_in_a_file_that_the_flow_names_has_that_files_place(tmp_path: Path) -> None:
    rules = "rules:\n  - name: far\n    column: distanse\n    between: [1, 2]\n    sentence: Too far.\n"
    write(tmp_path, {"rules/mine.yaml": rules})
    found = only(tmp_path, ("  - infer", "  - validate: {rules: mine}\n  - infer"))
    assert (Path(found.file).name, found.line, found.hint) == ("mine.yaml", 3, "did you mean `distance`?")


def test_a_step_that_can_not_say_what_it_gives_causes_no_further_mistakes(tmp_path: Path) -> None:
    assert only(tmp_path, ("model: late", "model: lat")).line == 6


def test_two_steps_of_one_name_are_a_mistake(tmp_path: Path) -> None:
    decide = SMALL.splitlines()[6]
    found = only(tmp_path, (decide, f"{decide}\n{decide}"))
    assert (found.line, found.hint) == (8, "give this one a `name` of its own")


def test_when_is_checked_like_any_expression(tmp_path: Path) -> None:
    found = only(tmp_path, ("infer: {", 'infer: {when: "distence > 5.0", '))
    assert (found.line, found.hint) == (6, "did you mean `distance`?")


def test_a_file_outside_the_project_is_never_read(tmp_path: Path) -> None:
    write(tmp_path, {"secret.yaml": "rules: []"})
    found = only(tmp_path, ("  - infer", "  - validate: {rules: ../secret}\n  - infer"))
    assert "there is no file rules/../secret.yaml" in found.sentence


WORDS = re.findall(r"[A-Za-z0-9_.-]+|[{}\[\]:,\"\n]", SMALL)
junk = st.sampled_from([*WORDS, "when", "null", "-1", "1e999", "&a", "*a", "!!set", "'", "#", "\t", "\x00", "é", "]" * 9, "{a: [b]}", "~"])


@settings(max_examples=150, deadline=None)
@given(edits=st.lists(st.tuples(st.integers(0, len(SMALL) - 1), st.integers(0, 12), junk), min_size=1, max_size=4))
def test_whatever_is_written_there_are_mistakes_and_never_a_traceback(edits: list[tuple[int, int, str]]) -> None:
    text = SMALL
    for at, cut, new in edits:
        text = text[:at] + new + text[at + cut :]
    with tempfile.TemporaryDirectory() as folder:
        project = small(Path(folder))
        write(Path(folder), {"flows/small.yaml": text})
        checked = check(project, "small")
    lines = text.count("\n") + 2
    assert all(1 <= mistake.line <= lines for mistake in checked.mistakes if mistake.file.endswith("small.yaml"))
    assert checked.mistakes or checked.spec is not None


@settings(max_examples=60, deadline=None)
@given(
    value=st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=5),
        lambda x: st.lists(x, max_size=3) | st.dictionaries(st.text(max_size=4), x, max_size=3),
        max_leaves=6,
    ),
    at=st.sampled_from(["flow", "version", "input", "steps", "result", "limits", "order"]),
)
def test_any_value_in_any_part_is_a_mistake_or_fine(value: object, at: str) -> None:
    told = yaml.safe_load(SMALL) | {at: value}
    with tempfile.TemporaryDirectory() as folder:
        project = small(Path(folder))
        write(Path(folder), {"flows/small.yaml": json.dumps(told)})
        check(project, "small")


@pytest.mark.parametrize(
    ("field", "sentence"),
    [
        ({"name": "ce_subject", "type": "long", "default": 0}, "has a field `ce_subject`, which is an attribute of a CloudEvent"),
        (
            {"name": "model", "type": "string", "default": ""},
            "the event has a field `model`, and `infer-late` says by that name what was used",
        ),
    ],
)
def test_a_field_may_not_have_the_name_of_a_column_with_a_meaning_of_its_own(
    tmp_path: Path, field: dict[str, object], sentence: str
) -> None:
    project = small(tmp_path, ("schema: flights.Departure", "schema: flights.Odd"))
    shipped = json.loads((ROOT / "schemas/avro/flights.Departure.avsc").read_text())
    odd = shipped | {"name": "Odd", "namespace": "flights", "fields": [*shipped["fields"], field]}
    write(tmp_path, {"schemas/flights.Odd.avsc": json.dumps(odd)})
    assert [mistake.sentence for mistake in check(project, "small").mistakes if sentence in mistake.sentence]
