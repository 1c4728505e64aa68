"""`weft flow apply` on the real broker."""

import asyncio
import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from ops.audit.session import session
from ops.cli.main import run
from streams.settings import load
from tests.stack import TestStack
from tests.unit.flow_project import MANIFEST, SMALL, write

Said = Any  # the fixture capsys


@pytest.fixture
def flow(stack: TestStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A flow with a name and topics of its own."""
    name = f"f{uuid4().hex[:8]}"
    text = SMALL.replace("flow: small", f"flow: {name}").replace("flights.departures", f"{name}-in").replace("flights.small", f"{name}-out")
    write(tmp_path, {f"flows/{name}.yaml": text, "models/late/manifest.json": MANIFEST})
    monkeypatch.setenv("WEFT_PROJECT", str(tmp_path))
    monkeypatch.setenv("WEFT_BOOTSTRAP", stack.bootstrap)
    return name


async def note(flow: str) -> str:
    async with session(load(), flow) as opened:
        return opened.note


def changes(capsys: Said, *arguments: str) -> list[Any]:
    capsys.readouterr()
    assert run(["flow", "apply", *arguments, "--json"]) == 0
    found: list[Any] = json.loads(capsys.readouterr().out)["changes"]
    return found


def test_apply_shows_its_plan_makes_the_topics_and_then_has_nothing_to_do(flow: str, capsys: Said) -> None:
    planned = changes(capsys, flow, "--partitions", "2", "--dry-run")
    assert {change["partitions"] for change in planned if change["name"] == f"{flow}.ledger"} == {2}
    assert planned[-1]["name"] == f"{flow}@1.0.0"
    assert changes(capsys, flow, "--partitions", "2", "--yes") == planned
    assert changes(capsys, flow, "--yes") == []


def test_a_changed_flow_of_the_same_version_is_refused(flow: str, capsys: Said, tmp_path: Path) -> None:
    changes(capsys, flow, "--partitions", "1", "--yes")
    file = tmp_path / f"flows/{flow}.yaml"
    file.write_text(file.read_text().replace("0.8", "0.7"))
    assert run(["flow", "apply", flow, "--yes"]) == 2
    assert "raise `version`" in capsys.readouterr().err
    file.write_text(file.read_text().replace("1.0.0", "1.0.1"))
    (change,) = changes(capsys, flow, "--yes")
    assert (change["name"], change["was"]) == (f"{flow}@1.0.1", {"version": "1.0.0"})


def test_what_is_applied_is_audited_whatever_the_file_says_and_the_file_only_where_nothing_was(
    flow: str, capsys: Said, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEFT_DATA", str(tmp_path / "data"))
    file = tmp_path / f"flows/{flow}.yaml"
    assert run(["audit", "keys", "--create"]) == 0
    changes(capsys, flow, "--partitions", "1", "--yes")
    file.write_text(file.read_text().replace("1.0.0", "1.1.0").replace("[1s, 30s]", "[2s]"))
    changes(capsys, flow, "--yes")
    file.write_text(file.read_text().replace(f"{flow}-in", "elsewhere").replace("- decide", "- no-such-step"))
    assert run(["audit", "keys", flow]) == 0
    trees = [line.split("+")[0].split("/")[-2] for line in capsys.readouterr().out.splitlines() if flow in line]
    assert trees == [f"{flow}-in", f"{flow}.resume", f"{flow}.retry.2s", f"{flow}.retry.1s", f"{flow}.retry.30s"]
    assert run(["audit", "verify", flow]) == 0
    assert "never applied" not in capsys.readouterr().out
    (tmp_path / "flows/unapplied.yaml").write_text(SMALL.replace("flow: small", "flow: unapplied"))
    assert asyncio.run(note("unapplied")) == "unapplied was never applied here: its topics are those of the project's file."
    assert asyncio.run(note(flow)) == ""


def test_a_broker_that_is_not_there_is_a_sentence_and_exit_3(flow: str, capsys: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEFT_BOOTSTRAP", "127.0.0.1:1")
    assert run(["flow", "apply", flow, "--yes"]) == 3
    assert "127.0.0.1:1 (variable WEFT_BOOTSTRAP)" in capsys.readouterr().err
