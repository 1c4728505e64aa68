"""`weft init`: what is read out of a CSV file, what is refused, and that nothing half-made is left."""

import json
import random
from pathlib import Path

import pytest
import yaml

from ops.cli.main import run
from ops.flow.csv_file import Csv, events, read_csv, unmatched
from ops.project.columns import columns_of, repeated
from ops.project.design import design
from ops.project.make import Asked, make
from ops.project.texts import flow
from schemas.contracts import Contract
from schemas.errors import FailedError, UsageError
from schemas.vocabulary import Exit
from serving.training.csv_course import Border

CHANCE = random.Random(5)


def shop(rows: int = 400) -> str:
    """Customers: who has waited long, and called often, leaves."""
    lines = ["Customer;joined at;days_waited;calls;member;channel;zip;remark;model;left"]
    for at in range(rows):
        days, calls = CHANCE.randint(0, 90), CHANCE.choice([0.5, 1.5, 2.5])
        leaves = days * calls > 60 + CHANCE.gauss(0, 15)
        channel = CHANCE.choice(["app", "shop, inside", ""])
        member, zip_ = CHANCE.choice(["true", "False"]), f"0{CHANCE.randint(1000, 9999)}"
        cells = [f"c-{at}", f"2024-01-{at % 28 + 1:02} 10:00", str(days) if at % 9 else "NA", str(calls), member, f'"{channel}"']
        lines.append(";".join([*cells, zip_, f'"says ""{at}"""', "x", {True: "gone", False: "stays"}[leaves] if at % 50 else ""]))
    return "\ufeff" + "\n".join(lines) + "\n"


def test_a_project_of_ones_own_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shop.csv").write_text(shop(), "utf-8")
    assert run(["init", "leavers", "--csv", "shop.csv", "--target", "left=gone", "--rename", "--json"]) == Exit.DONE
    told = json.loads(capsys.readouterr().out)
    assert {one["column"]: (one["type"], one["null"], one["is"]) for one in told["columns"]} == {
        "Customer": ("text", False, "id"),
        "joined_at": ("time", False, "time"),
        "days_waited": ("long", True, "number"),
        "calls": ("double", False, "number"),
        "member": ("boolean", False, "category"),
        "channel": ("text", True, "category"),
        "zip": ("text", False, "left out"),
        "remark": ("text", False, "left out"),
        "given_model": ("text", False, "left out"),
    }
    assert told["target"] == {"column": "left", "positive": "gone", "rows_without": 8}
    assert told["model"]["auc"] > 0.8
    assert 0.02 <= told["model"]["threshold"] <= 0.98
    assert {"result", "dead-letter"} <= told["samples"].keys()
    monkeypatch.chdir(tmp_path / "leavers")
    for command in ("flow check", "flow test leavers --expect tests/expected.ndjson", "plugin test", "sink check", "models show leavers"):
        assert run(command.split()) == Exit.DONE, command
    assert "Held" not in capsys.readouterr().err
    manifest = json.loads((tmp_path / "leavers" / "models" / "leavers" / "manifest.json").read_text())
    assert manifest["groups"][0]["auc"] == told["model"]["auc"]
    schema = json.loads((tmp_path / "leavers" / "schemas" / "leavers.Event.avsc").read_text())
    rows = list(events(read_csv(tmp_path / "shop.csv"), Contract.of(schema)))
    assert len(rows) == 400
    assert rows[1][1]["Customer"] == "c-1"
    assert rows[0][1]["days_waited"] is None
    assert run(["init", "leavers"]) == Exit.DONE  # another folder: this one's inside
    assert run(["init", "leavers"]) == Exit.USAGE


def test_a_misspelt_column_is_told_with_the_nearest_word(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("id;incme;late\n1;2;yes\n")
    fields = [{"name": "id", "type": "long"}, {"name": "given", "type": ["null", "long"], "default": None, "column": "income"}]
    found = unmatched(file, Contract.of({"type": "record", "name": "E", "namespace": "p", "fields": fields}))
    assert found.left_out == ("incme", "late")
    assert [str(one) for one in found.filled] == ["There is no column `income`: `given` is null in every event. Did you mean `incme`?"]


GOOD = "id,x,churn\n"
BAD: dict[str, tuple[bytes, str]] = {
    "empty": (b" \n", "is empty"),
    "no rows": (b"a,b,churn\n", "has a header and no rows"),
    "no header": (b"1,2,yes\n3,4,no\n", "there is no header: `1` is a value"),
    "a column without a name": (b"a,,churn\n1,2,yes\n", "column 2 has no name"),
    "names twice": (b"a,a,churn\n1,2,yes\n", "two columns have the name `a`"),
    "no such target": (b"a,b,chrn\n1,2,yes\n", "has no column `churn`"),
    "one class": (b"a,b,churn\n1,2,yes\n3,4,yes\n", "`churn` is always `yes`"),
    "no answers": (b"a,b,churn\n1,2,\n3,4,NA\n", "`churn` is empty in every row"),
    "many classes": (b"a,b,churn\n1,2,x\n3,4,y\n5,6,z\n", "`churn` has 3 different values"),
    "not UTF-8": (b"a,b,churn\n1,\xe4,yes\n", ":2: this is not UTF-8: byte 0xe4"),
    "no Avro names": (b"Total Amount,b,churn\n1,2,yes\n3,4,no\n", "these are no Avro names: `Total Amount`"),
    "taken names": (b"score,b,churn\n1,2,yes\n3,4,no\n", "names that the flow's own columns have: `score`"),
    "ragged": (b"a,b,churn\n1,2,yes\n3,no\n", ":3: this row has 2 cells, the header 3"),
    "an open quote": (b'a,b,churn\n1,"2,yes\n', "this is no CSV"),
    "a line without end": (b"a" * 2_000_000 + b",churn\n1,yes\n", "which is no header"),
    "columns without end": (b",".join(b"c%d" % at for at in range(10_000)) + b"\n" + b"1," * 9_999 + b"1\n", "10,000 columns"),
    "null bytes": (b"a,b\0,churn\n1,2,yes\n", "is no text"),
    "one column": (b"churn\nyes\nno\n", "has one column only"),
    "nothing to learn from": (b"a,b,churn\n1,x,yes\n1,x,no\n", "no column of the file can be learnt from"),
    "too few": (b"a,b,churn\n1,2,yes\n3,4,no\n", "are too few to learn from"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_file_that_does_not_do_is_a_sentence_and_leaves_nothing(name: str, tmp_path: Path) -> None:
    content, sentence = BAD[name]
    (tmp_path / "bad.csv").write_bytes(content)
    with pytest.raises((UsageError, FailedError)) as refused:
        make(Asked("p", tmp_path, tmp_path / "bad.csv", "churn"), lambda _: None)
    assert sentence in refused.value.sentence
    assert [path.name for path in tmp_path.iterdir()] == ["bad.csv"]


def test_what_is_asked_stays_within_its_comment() -> None:
    answer = "y\nrisk: x #"
    found = Csv(Path("shop.csv"), ("days", "left"), (2, 3, 5, 6), (("1", answer), ("2", "n"), ("3", answer), ("4", "n")))
    text = flow(design("leavers", found, "left", answer, False), Border(0.5, 0.1))
    assert yaml.safe_load(text).keys() == {"flow", "version", "input", "steps", "result", "limits", "order"}


def test_columns_that_hardly_tell_are_refused_unless_asked_for(tmp_path: Path) -> None:
    rows = [f"{CHANCE.random()},{CHANCE.choice(['yes', 'no'])}" for _ in range(300)]
    (tmp_path / "noise.csv").write_text("x,churn\n" + "\n".join(rows))
    with pytest.raises(FailedError, match="the columns hardly tell `churn`"):
        make(Asked("p", tmp_path, tmp_path / "noise.csv", "churn"), lambda _: None)
    made = make(Asked("p", tmp_path, tmp_path / "noise.csv", "churn", accept_weak=True), lambda _: None)
    assert made.manifest.approval.approved
    assert not made.suspects


def test_a_column_that_gives_the_answer_away_is_pointed_at(tmp_path: Path) -> None:
    rows = [f"{at},{CHANCE.random()},{int(at % 3 == 0) * 5 + CHANCE.random()},{'yes' if at % 3 == 0 else 'no'}" for at in range(300)]
    (tmp_path / "leak.csv").write_text("id,x,paid_back,churn\n" + "\n".join(rows))
    assert list(make(Asked("p", tmp_path, tmp_path / "leak.csv", "churn"), lambda _: None).suspects) == ["paid_back"]


def test_a_name_keeps_its_letters_a_count_is_bounded_by_whole_numbers_and_few_rows_are_all_watched(tmp_path: Path) -> None:
    rows = [f"{at},{at % 7},{CHANCE.random() - 2},{'yes' if at % 7 > 3 else 'no'}" for at in range(300)]
    (tmp_path / "names.csv").write_text("Straße Nr.,Vorschäden,dépense,churn\n" + "\n".join(rows))
    made = make(Asked("p", tmp_path, tmp_path / "names.csv", "churn", rename=True), lambda _: None)
    assert [one.name for one in made.design.columns] == ["strasse_nr", "vorschaden", "depense"]
    written = (tmp_path / "p" / "rules" / "p.yaml").read_text()
    assert "column: vorschaden, between: [0, 13]" in written
    assert "column: depense, between: [-3" in written
    assert "sample: 1," in (tmp_path / "p" / "flows" / "p.yaml").read_text()


def test_ids_that_repeat_are_told_with_their_lines(tmp_path: Path) -> None:
    file = tmp_path / "twice.csv"
    file.write_text("customer_id,x,t\na,1,y\nb,2,n\na,3,n\nc,4,y\n")
    found = read_csv(file)
    columns = columns_of(found, {name: name for name in ("customer_id", "x")}, "t", {})
    assert [one.role for one in columns] == ["left out", "number"]
    assert str(repeated(found, columns)) == "`customer_id`: 1 id occurs more than once (`a` in lines 2 and 4), so it is not the event's id."


def test_cells_are_of_the_narrowest_type_that_holds_them_all(tmp_path: Path) -> None:
    file = tmp_path / "types.csv"
    file.write_text("a,b,c,d,e,f,g,t\n1,1.5,true,2024-02-29,007,1e3,-1,y\n,2,FALSE,2024-03-01T10:00:00+02:00,1,NA,9223372036854775808,n\n")
    found = columns_of(read_csv(file), {name: name for name in "abcdefg"}, "t", {})
    assert [(one.kind, one.nullable) for one in found] == [
        ("long", True), ("double", False), ("boolean", False), ("time", False), ("text", False), ("double", True), ("double", False),
    ]  # fmt: skip
