"""What differs between two versions of a flow, in words."""

from pathlib import Path

import pytest

from ops.flow.diff import Difference, differences
from ops.flow.rollback import below, told
from ops.flow.sides import needs_applied, sides
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
