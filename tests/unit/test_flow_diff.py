"""What differs between two versions of a flow, in words."""

from pathlib import Path

import pytest

from ops.cli.main import run
from ops.flow.diff import Difference, differences
from ops.flow.rollback import below, told
from ops.flow.sides import needs_applied, sides
from ops.flow.within import changes
from processors.flow.bundle import Applied, bundle
from processors.flow.project import FolderProject
from schemas.errors import UsageError
from tests.unit.flow_project import MANIFEST, small, write

NEWER = (
    ("version: 1.0.0", "version: 1.10.0"),
    ("score > 0.8", "score > 0.7"),
    ("- infer", '- filter: {when: "distance < 10.0", reason: near}\n  - infer'),
    ("deadline: 15m, retries: [1s, 30s]", "deadline: 20m, retries: [1s, 2m]"),
)


def applied(*projects: FolderProject) -> Applied:
    found = Applied()
    for project in projects:
        made = bundle(project, "small")
        found.read([(made.key, made.encode()), (b"flow/small", made.version.encode())])
    return found


def test_every_change_is_told_once_and_in_order(tmp_path: Path) -> None:
    now = applied(small(tmp_path))
    project = small(tmp_path, *NEWER)
    write(tmp_path, {"models/late/manifest.json": MANIFEST.replace('"1.0.0"', '"2.0.0"').replace("0" * 64, "1" * 64)})
    old, new = sides(["small"], project, now)
    found = differences(old.checked, new.checked)
    assert (old.label, [(one.about, one.what) for one in found]) == ("small@1.0.0", [
        ("version", ""), ("step", "decide"), ("step", "filter-near"), ("model", "late"), ("limit", "deadline"), ("limit", "retries"),
        ("topic", "small.retry.2m"), ("topic", "small.retry.30s")])  # fmt: skip
    said = "\n".join(one.sentence for one in found)
    assert "version: 1.0.0 -> 1.10.0" in said
    assert 'step filter-near is new: {"filter": {"reason": "near", "when": "distance < 10.0"}}' in said
    assert "limit deadline: 15m -> 20m" in said
    assert "topic small.retry.30s is gone: the old version waits there (it stays, and is read until nothing waits on it)" in said
    assert "model late: 1.0.0 sha256 000000000000 -> 2.0.0 sha256 111111111111" in said
    back = sides(["small@1.0.0", "small@1.0.0"], project, now)
    assert differences(back[0].checked, back[1].checked) == []


RULES = """\
rules:
  - {name: age, column: Alter, between: [0, 160], sentence: "It must be an age."}
  - {name: sum, column: Summe, between: [0, 10], sentence: "Too much."}
"""


@pytest.mark.parametrize(
    ("path", "text", "change", "said"),
    [
        (
            "rules/d.yaml",
            RULES,
            [("[0, 160]", "[0, 200]")],
            ["rule age of rules/d.yaml: between: [0, 160] -> between: [0, 200]"],
        ),
        (
            "rules/d.yaml",
            RULES,
            [("It must be an age.", "Older than anybody."), ("column: Summe, between: [0, 10]", "column: Summe, not_null: true")],
            [
                "rule age of rules/d.yaml: sentence: It must be an age. -> sentence: Older than anybody.",
                "rule sum of rules/d.yaml: between: [0, 10] -> not_null: true",
            ],
        ),
        (
            "policies/d.yaml",
            "rules:\n  - {name: a, when: score > 1, then: review}\n  - {name: b, when: x, then: stop}\n",
            [("name: a", "name: c"), ("score > 1", "score > 2")],
            [
                "rule a of policies/d.yaml is gone: when: score > 1, then: review",
                "rule c of policies/d.yaml is new: when: score > 2, then: review",
            ],
        ),
        (
            "suites/d.json",
            '{"name": "d", "expectations": [{"type": "between", "kwargs": {"column": "n", "min_value": 1}}, '
            '{"type": "between", "kwargs": {"column": "n", "max_value": 5}}]}',
            [('"max_value": 5', '"max_value": 7')],
            ["expectation between(n) no. 2 of suites/d.json: max_value: 5 -> max_value: 7"],
        ),
        (
            "references/d.json",
            '{"flow": "d", "rows": 3, "columns": {"n": {"edges": [1, 2], "counts": [0, 1, 1, 1]}, '
            '"m": {"edges": [4], "counts": [1, 1, 1]}}}',
            [("[1, 2]", "[1, 3]"), ('"rows": 3', '"rows": 4')],
            [
                "reference as a whole of references/d.json: rows: 3 -> rows: 4",
                "reference n of references/d.json: half below: 2, to: 2, of all bins, SHA-256: ",
            ],
        ),
        ("plugins/steps/d.py", "a = 1\n", [("1", "2")], []),
    ],
)
def test_a_part_of_a_file_that_changed_is_told_by_its_name_with_what_it_said(
    path: str, text: str, change: list[tuple[str, str]], said: list[str]
) -> None:
    now = text
    for old, new in change:
        now = now.replace(old, new)
    found = [Difference(one.word, f"{one.name} of {path}", one.was, one.now).sentence for one in changes(path, text, now)]
    assert len(found) == len(said)
    assert all(one.startswith(sentence) for one, sentence in zip(found, said, strict=True)), found


def test_rules_in_another_order_are_told_for_the_first_that_holds_counts() -> None:
    first, second = "  - {name: a, when: x, then: stop}\n", "  - {name: b, when: y, then: stop}\n"
    (found,) = changes("policies/d.yaml", "rules:\n" + first + second, "rules:\n" + second + first)
    assert found == ("rule", "order", "a, b", "b, a")


def test_a_contract_that_changed_says_whether_the_new_one_reads_the_old(tmp_path: Path) -> None:
    text = FolderProject().contracts()["flights.DelayDecision"].text
    write(tmp_path, {"schemas/flights.DelayDecision.avsc": text})
    now = applied(small(tmp_path))
    write(
        tmp_path,
        {"schemas/flights.DelayDecision.avsc": text.replace('"degraded", "type": "boolean"', '"degraded", "type": ["null", "boolean"]')},
    )
    old, new = sides(["small"], FolderProject(tmp_path), now)
    (found,) = differences(old.checked, new.checked)
    assert isinstance(found, Difference)
    assert (found.about, found.what, found.note) == ("schema", "flights.DelayDecision", "reads what was written with the old one")


def test_a_file_elsewhere_is_compared_as_if_it_were_the_projects_own(tmp_path: Path) -> None:
    project = small(tmp_path)
    other = tmp_path / "draft.yaml"
    other.write_text((tmp_path / "flows/small.yaml").read_text().replace("0.8", "0.9"))
    assert not needs_applied([str(other), "small"])
    old, new = sides([str(other), "small"], project, Applied())
    assert [one.what for one in differences(old.checked, new.checked)] == ["decide"]
    with pytest.raises(UsageError, match="is not applied"):
        sides(["small"], project, Applied())
    with pytest.raises(UsageError, match=r"small@9\.9\.9 was never applied"):
        sides(["small@9.9.9"], project, Applied())


def test_a_version_that_was_not_raised_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    small(tmp_path)
    monkeypatch.setenv("WEFT_PROJECT", str(tmp_path))
    flow = (tmp_path / "flows" / "small.yaml").read_text()
    write(tmp_path, {"a.yaml": flow, "b.yaml": flow.replace("score > 0.8", "score > 0.7"), "c.yaml": flow.replace("1.0.0", "1.0.1")})
    for other, raised in (("b.yaml", False), ("c.yaml", True), ("a.yaml", True)):
        assert run(["flow", "diff", str(tmp_path / "a.yaml"), str(tmp_path / other)]) == 0
        assert ("raise `version`" not in capsys.readouterr().out) is raised


def test_the_version_below_is_by_number_not_by_text(tmp_path: Path) -> None:
    found = Applied()
    for version in ("1.2.0", "1.10.0", "1.9.0", "2.0.0"):
        one = applied(small(tmp_path, ("version: 1.0.0", f"version: {version}")))
        found.bundles.setdefault("small", {}).update(one.bundles["small"])
        found.current = one.current
    assert below(found, "small") == "1.10.0"
    assert [row["version"] for row in told(found, "small")] == ["2.0.0", "1.10.0", "1.9.0", "1.2.0"]
    with pytest.raises(UsageError, match=r"no version of small below 1\.2\.0"):
        below(Applied(current={"small": "1.2.0"}, bundles=found.bundles), "small")
