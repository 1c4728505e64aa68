"""The command line itself: help, errors, exit codes, JSON, completion. Each row of the table is tried."""

import json
import os
import pty
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from ops.cli.commands import COMMANDS, Row, as_typed
from ops.cli.main import run
from ops.demo.place import Place
from ops.stack.causes import why
from ops.stack.marked import claim
from schemas.vocabulary import Exit
from streams.settings import Settings

WEFT = Path(sys.executable).with_name("weft")


def weft(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([WEFT, *arguments], capture_output=True, text=True, check=False, env={**os.environ, **environment})


def test_help_lists_every_command_with_its_line() -> None:
    shown = weft("--help", COLUMNS="200")
    assert shown.returncode == Exit.DONE
    for row in COMMANDS:
        assert row.name in shown.stdout
        assert row.help in shown.stdout


def test_no_argument_at_all_shows_the_help() -> None:
    assert weft().stdout == weft("--help").stdout


@pytest.mark.parametrize("row", COMMANDS, ids=[row.name for row in COMMANDS])
def test_every_command_explains_itself(row: Row, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([row.name, "--help"]) == Exit.DONE  # in this process: twenty starts of Python take long
    assert f"weft {row.name}" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [("upp",), ("up", "--nonsense"), ("logs",), ("status", "--only", "nothing")])
def test_a_wrong_command_line_is_exit_2_without_a_traceback(arguments: tuple[str, ...], tmp_path: Path) -> None:
    refused = weft("--data", str(tmp_path), *arguments)
    assert refused.returncode == Exit.USAGE
    assert refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_misspelt_command_names_the_nearest() -> None:
    assert "'status'" in weft("statis").stderr


def test_a_wrong_settings_file_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "weft.toml").write_text("nonsense = 1\n")
    refused = weft("--project", str(tmp_path), "status")
    assert refused.returncode == Exit.USAGE
    assert refused.stderr.startswith("error: ")
    assert "what to do: " in refused.stderr
    assert len(refused.stderr.splitlines()) == 2


def test_what_is_piped_has_no_colours(tmp_path: Path) -> None:
    shown = weft("--data", str(tmp_path), "status", "--only", "kafka,redis")
    assert "kafka" in shown.stdout
    assert "\x1b" not in shown.stdout + shown.stderr


def test_doctor_is_json_of_small_objects(tmp_path: Path) -> None:
    shown = weft("--data", str(tmp_path), "doctor", "--json")
    findings = json.loads(shown.stdout)
    assert {"python", "java", "jars", "disk", "kafka", "redis"} <= {finding["name"] for finding in findings}
    assert all(set(finding) == {"name", "ok", "sentence", "hint"} for finding in findings)
    assert all(finding["hint"] for finding in findings if not finding["ok"])
    assert shown.returncode == Exit.FAILED  # nothing runs here


def test_names_are_completed() -> None:
    completed = weft(_WEFT_COMPLETE="complete_bash", COMP_WORDS="weft stat", COMP_CWORD="1")
    assert completed.stdout.split() == ["status"]


def test_logs_of_a_part_that_never_ran_say_so(tmp_path: Path) -> None:
    refused = weft("--data", str(tmp_path), "logs", "redis")
    assert refused.returncode == Exit.USAGE
    assert "nothing" in refused.stderr
    assert f"`weft --data {tmp_path} up`" in refused.stderr  # not what starts the stack of another folder


def test_a_hint_of_the_demo_is_a_command_that_works_as_pasted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WEFT_DATA", str(tmp_path / "elsewhere"))  # put back after the test: the command sets it for its workers
    place = Place.of(Settings(data=tmp_path / "a folder"), serve=False)
    (kafka,) = place.stack.parts(["kafka"])
    kafka.log_file.parent.mkdir(parents=True)
    kafka.log_file.write_text("why it ended\n")
    hint = as_typed(why(kafka, "ended while it was starting").hint, place.options)
    typed = shlex.split(hint.split("`")[1])
    assert typed[0] == "weft"
    assert run(typed[1:]) == Exit.DONE
    assert capsys.readouterr().out == "why it ended\n"


def wiped(project: Path, answer: str | None = None, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`weft down --wipe`, on a terminal where there is an answer, else with nobody to ask."""
    command = [str(WEFT), "--project", str(project), "down", "--wipe", *arguments]
    if answer is None:
        return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    ours, theirs = pty.openpty()
    try:
        os.write(ours, answer.encode() + b"\n")
        return subprocess.run(command, stdin=theirs, capture_output=True, text=True, check=False)
    finally:
        os.close(ours)
        os.close(theirs)


def test_a_project_can_not_have_a_folder_of_its_user_s_deleted(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "letter.txt").write_text("dear")
    (tmp_path / "weft.toml").write_text(f'data = "{precious}"\n')
    for arguments in ((), ("--yes",)):
        refused = wiped(tmp_path, None, *arguments)
        assert refused.returncode == Exit.USAGE
        assert "is not a data folder of Weft" in refused.stderr
        assert "what to do: " in refused.stderr
    assert [file.name for file in precious.iterdir()] == ["letter.txt"]


def test_wipe_deletes_only_what_somebody_agreed_to(tmp_path: Path) -> None:
    data = tmp_path / ".weft"
    claim(data)
    assert wiped(tmp_path).returncode == Exit.USAGE
    assert wiped(tmp_path, "n").returncode == Exit.FAILED
    assert data.exists()
    assert wiped(tmp_path, "y").returncode == Exit.DONE
    assert not data.exists()
    claim(data)
    deleted = wiped(tmp_path, None, "--yes")
    assert (deleted.returncode, "is deleted" in deleted.stdout) == (Exit.DONE, True)
    assert not data.exists()
    assert wiped(tmp_path).returncode == Exit.DONE  # nothing there, nothing to ask
