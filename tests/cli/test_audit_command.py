"""`weft audit` as a user meets it, as far as it needs no stack."""

import json
from pathlib import Path

import pytest

from ops.cli.audit import sentence
from ops.cli.main import run
from schemas.positions import Position
from schemas.vocabulary import Exit
from streams.ledger.key import LogKey
from streams.ledger.leaf import Leaf
from tests.unit.test_receipt import TEXT, VKEY


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project folder with a receipt."""
    monkeypatch.setenv("WEFT_PROJECT", str(tmp_path))
    monkeypatch.setenv("WEFT_DATA", str(tmp_path / "data"))
    (tmp_path / "decision.tlog-proof").write_bytes(TEXT)
    (tmp_path / "log.vkeys").write_text(f"{VKEY}\n")
    return tmp_path


def test_a_receipt_is_checked_offline(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = str(folder / "decision.tlog-proof")
    assert run(["audit", "check", file, "--key", VKEY]) == Exit.DONE
    said = capsys.readouterr().out
    assert "proven" in said
    assert "event-flights/0/13 ended as result, decided by delays@1.0.0; arrival-delay@1 answered." in said
    assert "degraded    false" in said
    assert "reason" not in said  # there is none
    assert run(["audit", "check", file, "--key", str(folder / "log.vkeys"), "--json"]) == Exit.DONE
    told = json.loads(capsys.readouterr().out)
    assert (told["event"], told["verdict"], told["tree size"]) == ("event-flights/0/13", "result", 21)
    assert (told["proven"], told["checkpoint time"], told["position"]) == (True, None, "flights/0/13")


@pytest.mark.parametrize(
    ("verdict", "reason", "rule", "degraded", "said"),
    [
        ("dead-letter", "invalid", "age", False, "e ended as dead-letter (invalid, rule age), decided by f@1"),
        ("review", "", "unsure", False, "e waits for a person (rule unsure), decided by f@1"),
        ("result", "", "", True, "e ended as result, decided by f@1; m@2 answered, in place of the model that was meant"),
        ("superseded", "late", "", False, "e has a record that counts for no event, superseded (late), decided by f@1"),
    ],
)
def test_the_decision_of_a_receipt_is_one_sentence(verdict: str, reason: str, rule: str, degraded: bool, said: str) -> None:
    place = Position("t", 0, 1)
    digest = bytes(32)
    one = Leaf(place, place, 0, 0, "e", "f@1", verdict, reason, rule, "m@2" if degraded else "", degraded, digest, b"", digest, bytes(16))
    assert sentence(one) == said


def test_a_receipt_that_proves_nothing_says_so_in_a_sentence(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spoilt = folder / "spoilt"
    spoilt.write_bytes(TEXT.replace(b"index 13", b"index 12"))
    assert run(["audit", "check", str(spoilt), "--key", VKEY]) == Exit.NOT_PROVEN
    said = capsys.readouterr().err
    assert "proves nothing" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("arguments", [["missing", "--key", VKEY], ["decision.tlog-proof", "--key", "nonsense"], ["decision.tlog-proof"]])
def test_a_wrong_use_is_said(folder: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["audit", "check", str(folder / arguments[0]), *arguments[1:]]) == Exit.USAGE
    assert capsys.readouterr().err


def test_the_log_key_is_made_once(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["audit", "keys", "--create"]) == Exit.DONE
    assert LogKey.load(folder / "data" / "log-key.pem")
    assert "log-key.pem" in capsys.readouterr().out
    assert run(["audit", "keys", "--create"]) == Exit.USAGE
    assert "already" in capsys.readouterr().err
    assert run(["audit", "keys"]) == Exit.USAGE


def test_a_flow_that_is_not_there_is_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Also while no broker answers, who alone knows what is applied; all commands begin alike."""
    assert run(["audit", "verify", "no-such-flow"]) == Exit.USAGE
    assert "no-such-flow" in capsys.readouterr().err
    assert folder
