"""`weft models` trains, lists and explains, for people and for programs."""

import json
from pathlib import Path

import pytest

from ops.cli.main import run
from schemas.vocabulary import Exit
from tests.models import CHAMPION, LITE, spoiled, trained


def test_a_trained_model_lands_in_the_project_that_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models", "train", LITE, "--project", str(tmp_path), "--json"]) == Exit.DONE
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["name"], row["served"]) == (LITE, True)
    assert (tmp_path / "models" / LITE / "model.onnx").exists()
    assert row["sha256"] == trained().manifest(LITE).sha256


def test_the_list_says_why_a_model_is_not_served(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spoiled(tmp_path)
    assert run(["models", "list", "--project", str(tmp_path), "--json"]) == Exit.DONE
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert "digest" in rows[LITE]["problem"]
    assert not rows[LITE]["served"]
    assert rows[CHAMPION]["served"]
    run(["models", "list", "--project", str(tmp_path)])
    assert "AUC, unseen" in capsys.readouterr().out


def test_the_card_and_the_figures_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    trained()
    assert run(["models", "show", CHAMPION]) == Exit.DONE
    assert "LightGBM" in capsys.readouterr().out
    assert run(["models", "metrics", CHAMPION, "--json"]) == Exit.DONE
    assert [row["month"] for row in json.loads(capsys.readouterr().out)] == list(range(1, 13))
    assert run(["models", "metrics", "loan-default", "--json"]) == Exit.DONE
    assert [row["group"] for row in json.loads(capsys.readouterr().out)][:4] == ["held out", "everybody", "women", "men"]
    run(["models", "metrics", "loan-default"])
    assert "specificity" in capsys.readouterr().out


@pytest.mark.parametrize("command", [["train", "nope"], ["show", "nope"], ["metrics", "nope"]])
def test_a_model_that_there_is_not_is_one_sentence_and_exit_code_2(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models", *command]) == Exit.USAGE
    said = capsys.readouterr().err
    assert "`nope`" in said
    assert "Traceback" not in said
