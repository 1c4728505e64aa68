"""Dates and numbers as people write them in CSV files: what is seen, what is in doubt, and that init and produce read the same."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ops.cli.main import run
from ops.flow.csv_file import events, read_csv
from ops.flow.csv_forms import Seen, seen
from ops.project.columns import Column
from ops.project.design import Design, design
from schemas.contracts import Contract
from schemas.errors import UsageError


def looked_at(folder: Path, text: str, **forms: str) -> Design:
    """The design of a project for a CSV file whose last column is the target."""
    (folder / "given.csv").write_bytes(text.encode("utf-8-sig"))
    found = read_csv(folder / "given.csv")
    return design("p", found, found.names[-1], None, rename=False, forms=forms)


def by_name(made: Design) -> dict[str, Column]:
    return {column.name: column for column in made.columns}


@pytest.mark.parametrize(
    ("cells", "form"),
    [
        (["01.02.2024", "1.2.2024 9:30", ""], "dd.mm.yyyy"),
        (["01/02/2024", "13/02/2024"], "dd/mm/yyyy"),
        (["01/02/2024", "01/13/2024 23:59:59"], "mm/dd/yyyy"),
        (["2024/02/01", "NA"], "yyyy/mm/dd"),
        (["28-02-2024", "01-02-2024"], "dd-mm-yyyy"),
        (["12,5", "1.234,50", "-3", "7"], "1.234,5"),
        (["1.234.567", "12"], "1.234,5"),
        (["1,234.50", "2"], "1,234.5"),
        (["2024-02-01", "2024-02-02"], ""),
        (["1.5", "2"], ""),
        (["12,5", "007,5"], ""),  # a code
        (["30.02.2024", "31.02.2024"], ""),  # no dates
        (["", "NA"], ""),
    ],
)
def test_a_column_has_the_one_form_in_which_each_cell_is_a_value(cells: Sequence[str], form: str) -> None:
    assert seen(cells).form == form


def test_what_no_cell_decides_is_said_with_what_would_settle_it() -> None:
    assert seen(["", "01/02/2024", "03/04/2024"]) == Seen(
        "", "`01/02/2024` may be dd/mm/yyyy or mm/dd/yyyy, and no cell of the column decides which", "dd/mm/yyyy"
    )
    assert seen(["1,234", "5,678"]).say == "1.234,5"
    assert seen(["01/02/2024"], "mm/dd/yyyy") == Seen("mm/dd/yyyy")


@pytest.mark.parametrize("cell", ["01.02.24", "1/31/2024 3:15 PM", "31.02.2024"])
def test_what_looks_like_a_date_and_can_not_be_read_is_said(cell: str) -> None:
    assert seen([cell]).doubt.startswith(f"`{cell}` looks like a date, and is in none of the forms that are read: yyyy-mm-dd, dd.mm.yyyy")


def test_a_few_cells_that_keep_a_column_from_being_more_than_text_are_named() -> None:
    days = [f"{day:02}.03.2024" for day in range(1, 31)]
    assert seen([*days, "unknown", "unknown"]).doubt == "all but 2 of its cells are like dd.mm.yyyy: `unknown` is not"
    assert seen(["a", "b", "1"]) == Seen()
    assert seen([*(str(number) for number in range(10, 40)), "007"]) == Seen()  # codes


def test_init_and_produce_read_a_file_with_semicolons_and_commas_alike(tmp_path: Path) -> None:
    rows = [f'{at};{at % 28 + 1:02}.03.2024;1.{at:03},50;{at},5;"two\nlines";{"ja" if at % 2 else "nein"}' for at in range(40)]
    made = looked_at(tmp_path, "nr;gemeldet;summe;anteil;notiz;betrug\n" + "\n".join(rows))
    columns = by_name(made)
    assert [(one.kind, one.seen.form) for one in columns.values()][1:4] == [
        ("time", "dd.mm.yyyy"), ("double", "1.234,5"), ("double", "1.234,5")]  # fmt: skip
    assert columns["summe"].values[2] == 1002.5
    contract = Contract.of(json.loads(json.dumps(made.event_schema())))
    event = dict(events(read_csv(tmp_path / "given.csv"), contract))[4]  # a row is two lines
    assert event == {"nr": 1, "gemeldet": datetime(2024, 3, 2, tzinfo=UTC), "summe": 1001.5, "anteil": 1.5, "notiz": "two\nlines"}


def test_whole_thousands_are_in_doubt_beside_decimal_commas_and_nowhere_else(tmp_path: Path) -> None:
    text = "id;km;price;t\n" + "\n".join(f"{at};1.{at:03};{{}};{'yn'[at % 2]}" for at in range(100, 140))
    assert by_name(looked_at(tmp_path, text.replace("{}", "9.5")))["km"].kind == "double"
    doubtful = by_name(looked_at(tmp_path, text.replace("{}", "9,5")))["km"]
    assert (doubtful.kind, doubtful.seen.say) == ("text", "1.234,5")
    assert "`1.100` may be a whole number" in doubtful.seen.doubt
    said = by_name(looked_at(tmp_path, text.replace("{}", "9,5"), km="1.234,5"))["km"]
    assert (said.kind, said.values[0]) == ("long", 1100)
    assert by_name(looked_at(tmp_path, text.replace("{}", "9,5"), km="1234.5"))["km"].values[0] == 1.1
    assert by_name(looked_at(tmp_path, text.replace("{}", "9.5"), km="text"))["km"].kind == "text"


@pytest.mark.parametrize("encoding", ["utf-16", "windows-1252"])
def test_a_file_in_another_encoding_is_told_the_command_that_turns_it_into_utf_8(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "a.csv").write_bytes("straße;t\n1;y\n".encode(encoding))
    with pytest.raises(UsageError, match="this is not UTF-8") as refused:
        read_csv(tmp_path / "a.csv")
    assert f"iconv -f {encoding.upper()} -t UTF-8" in refused.value.hint


def test_a_form_that_is_said_must_be_one_and_fit_the_column(tmp_path: Path) -> None:
    text = "id,day,t\n1,01/02/2024,y\n2,2024-02-01,n\n"
    for forms, sentence in (
        ({"dya": "dd/mm/yyyy"}, "has no column `dya`"),
        ({"day": "d/m/y"}, "`d/m/y` is no form of a column"),
        ({"day": "dd/mm/yyyy"}, "given.csv:3: column `day`: `2024-02-01` is no date like dd/mm/yyyy"),
    ):
        with pytest.raises(UsageError, match=sentence):
            looked_at(tmp_path, text, **forms)


def test_produce_says_how_a_contract_learns_of_a_form_and_refuses_one_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("day;n\n01.02.2024;1\n")

    def read(**more: str) -> object:
        day = {"name": "day", "type": {"type": "int", "logicalType": "date"}, **more}
        fields = [day, {"name": "n", "type": "long"}]
        return list(events(read_csv(tmp_path / "a.csv"), Contract.of({"type": "record", "name": "p.E", "fields": fields})))

    with pytest.raises(UsageError) as refused:
        read()
    assert '"form": "dd.mm.yyyy"' in refused.value.hint
    with pytest.raises(UsageError, match="`day` has no form"):
        read(form="dd.mm.yy")
    assert str(read(form="dd.mm.yyyy")) == "[(2, {'day': datetime.date(2024, 2, 1), 'n': 1})]"


def test_a_doubt_is_printed_with_the_option_that_settles_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [f"{at};{at % 12 + 1:02}/{at % 11 + 1:02}/2024;{at % 7},5;{'yes' if at % 7 > 3 else 'no'}" for at in range(300)]
    (tmp_path / "claims.csv").write_text("claim_no;reported;share;fraud\n" + "\n".join(rows))
    asked = ["init", "claims", "--csv", "claims.csv", "--target", "fraud"]
    assert run([*asked, "--form", "reported"]) == 2
    assert run(asked) == 0
    said = capsys.readouterr().out
    assert "`reported` is taken as text: `01/01/2024` may be dd/mm/yyyy or mm/dd/yyyy" in said
    assert "To settle it make the project anew with --form reported=dd/mm/yyyy" in said
    assert "double 1.234,5" in said
    asked[1] = "others"
    assert run([*asked, "--form", "reported=mm/dd/yyyy", "--json"]) == 0
    told = {one["column"]: one for one in json.loads(capsys.readouterr().out)["columns"]}
    assert (told["reported"]["type"], told["reported"]["form"], told["reported"]["is"]) == ("time", "mm/dd/yyyy", "time")
