"""`weft schema`: what breaks, for whom, and what to do; against git, kept versions and a registry."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from connectors.registry.twin import RegistryTwin, served
from ops.cli.main import run
from schemas.contracts import Contract

Said = Any  # the fixture capsys

ORDER: list[Any] = [
    {"name": "id", "type": "string"},
    {"name": "n", "type": "int"},
    {"name": "kind", "type": {"type": "enum", "name": "K", "symbols": ["A", "B"]}},
]


def put(folder: Path, *fields: Any) -> None:
    (folder / "schemas").mkdir(exist_ok=True)
    (folder / "schemas" / "shop.Order.avsc").write_text(json.dumps({"type": "record", "name": "shop.Order", "fields": list(fields)}))


def git(folder: Path, *arguments: str) -> None:
    who = ("-c", "user.name=t", "-c", "user.email=t@example.org")
    subprocess.run(["git", "-C", str(folder), *who, *arguments], check=True, capture_output=True)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project under git with one contract, as it was committed."""
    monkeypatch.setenv("WEFT_PROJECT", str(tmp_path))
    put(tmp_path, *ORDER)
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "first")
    return tmp_path


def checked(capsys: Said, code: int, *arguments: str) -> Any:
    capsys.readouterr()
    assert run(["schema", "check", "shop.Order", *arguments, "--json"]) == code
    (told,) = json.loads(capsys.readouterr().out)
    return told


def test_a_break_is_a_sentence_that_says_for_whom_and_what_to_do(project: Path, capsys: Said) -> None:
    assert checked(capsys, 0) | {"against": []} == {
        "schema": "shop.Order", "against": [], "changed": False, "compatible": True, "breaks": [], "notes": []}  # fmt: skip
    put(
        project,
        {"name": "id", "type": "int"},
        {"name": "gate", "type": "string"},
        ORDER[2] | {"type": ORDER[2]["type"] | {"symbols": ["A"]}},
    )
    assert run(["schema", "check"]) == 1
    said = capsys.readouterr().out
    assert "`id` was string and is int: who reads with the new schema can't read what was written with shop.Order of HEAD" in said
    assert "`gate` (string) is new and has no default" in said
    assert "`kind` can't be B any more" in said
    assert "keep it with `weft schema keep shop.Order --from REF`" in said
    told = checked(capsys, 1, "--mode", "full")
    assert [(one["direction"], one["kind"], one["path"]) for one in told["breaks"]] == [
        ("backward", "type", "id"), ("backward", "no-default", "gate"), ("backward", "symbols", "kind"),
        ("forward", "type", "id"), ("forward", "no-default", "n")]  # fmt: skip
    assert all(one["do"] for one in told["breaks"])


def test_a_field_that_may_have_been_renamed_is_told_the_alias_that_it_needs(project: Path, capsys: Said) -> None:
    put(project, ORDER[0], {"name": "number", "type": "long"}, {"name": "note", "type": "string"}, ORDER[2])
    said = {one["path"]: (one["sentence"], one["do"]) for one in checked(capsys, 1)["breaks"]}
    assert "`number` (long) is new and has no default, and `n` is gone" in said["number"][0]
    assert 'if it is `n` renamed, add "aliases": ["n"] to the field `number`' in said["number"][1]
    assert said["note"][1] == "give it a default"  # no text went
    put(project, ORDER[0], {"name": "number", "type": "long", "aliases": ["n"]}, ORDER[2])
    assert checked(capsys, 0)["notes"][0].startswith("values in single-object encoding")


def test_a_rename_that_a_default_hides_is_a_note_also_inside_another_record(project: Path, capsys: Said) -> None:
    def order(*fields: Any) -> dict[str, Any]:
        return {"name": "line", "type": ["null", {"type": "array", "items": {"type": "record", "name": "L", "fields": list(fields)}}]}

    put(project, *ORDER, order({"name": "price", "type": "int"}, {"name": "sku", "type": "string"}))
    git(project, "commit", "-qam", "lines")
    put(project, *ORDER, order({"name": "amount", "type": ["null", "long"], "default": None}, {"name": "sku", "type": "string"}))
    told = checked(capsys, 0)
    assert "`price` is gone and `line[].amount` is new, with a default" in told["notes"][0]
    assert 'add "aliases": ["price"] to the field `line[].amount`' in told["notes"][0]
    assert not any("aliases" in note for note in checked(capsys, 1, "--mode", "forward")["notes"])


def test_where_every_flow_has_json_nothing_is_said_of_fingerprints(project: Path, capsys: Said) -> None:
    put(project, *ORDER, {"name": "more", "type": "int", "default": 0})
    assert "single-object" in checked(capsys, 0)["notes"][0]
    of = "input: {{topic: t, schema: shop.Order, encoding: {}}}, steps: [], result: {{topic: r, schema: shop.R}}"
    flow = f"{{{{flow: f, version: 1.0.0, {of}}}}}"
    (project / "flows").mkdir()
    (project / "flows" / "f.yaml").write_text(flow.format("json"))
    assert checked(capsys, 0)["notes"] == []
    (project / "flows" / "f.yaml").write_text(flow.format("cloudevents-json"))
    assert checked(capsys, 0)["notes"] != []


def test_every_older_version_counts_only_when_it_is_asked_for(project: Path, capsys: Said) -> None:
    put(project, ORDER[0], ORDER[2])
    git(project, "commit", "-qam", "without n")
    put(project, ORDER[0], ORDER[2], {"name": "n", "type": "string", "default": ""})
    assert checked(capsys, 0)["changed"] is True
    (fault,) = checked(capsys, 1, "--transitive")["breaks"]
    assert (fault["path"], fault["kind"]) == ("n", "type")
    assert run(["schema", "check", "--against", "nowhere"]) == 2
    assert "git knows no nowhere" in capsys.readouterr().err


def test_a_kept_version_is_compared_with_and_read_by_workers(project: Path, capsys: Said) -> None:
    put(project, ORDER[0], {"name": "n", "type": "string"})
    assert run(["schema", "keep", "shop.Order", "--from", "HEAD"]) == 0
    assert run(["schema", "keep", "shop.Order", "--from", "HEAD"]) == 0
    assert "kept already, as shop.Order@1" in capsys.readouterr().out
    told = checked(capsys, 1, "--against", "kept")
    assert told["against"] == ["shop.Order@1"]
    assert (told["breaks"][0]["path"], told["notes"]) == ("n", [])
    assert run(["schema", "list"]) == 0
    assert "@1" in capsys.readouterr().out
    assert run(["schema", "show", "shop.Order"]) == 0
    assert "string" in capsys.readouterr().out


def test_a_registry_takes_what_fits_and_its_versions_are_compared_with(
    project: Path, capsys: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(["schema", "check", "--against", "registry"]) == 2
    assert "no schema registry is named" in capsys.readouterr().err
    twin = RegistryTwin("me:secret")
    monkeypatch.setenv("WEFT_REGISTRY_AUTH", "me:secret")
    with served(twin) as url:
        monkeypatch.setenv("WEFT_REGISTRY", url)
        assert checked(capsys, 0, "--against", "registry")["against"] == []
        assert run(["schema", "register", "shop.Order", "--subject", "orders-value"]) == 0
        assert Contract.of(json.loads(twin.answer("GET", "/subjects/orders-value/versions/1", None)["schema"])).name == "shop.Order"
        put(project, ORDER[0], {"name": "n", "type": "string"})
        told = checked(capsys, 1, "--against", "registry", "--subject", "orders-value")
        assert "written with version 1 of orders-value" in told["breaks"][0]["sentence"]
        assert run(["schema", "register", "shop.Order", "--subject", "orders-value"]) == 2
        assert "the registry refuses shop.Order" in capsys.readouterr().err
    assert run(["schema", "check", "--against", "registry"]) == 3
    assert "secret" not in capsys.readouterr().err
