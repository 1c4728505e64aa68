"""Ports, jars, settings and causes of the stack: what is kept, checked and said."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ops.stack import jars
from ops.stack.alone import alone
from ops.stack.causes import why
from ops.stack.kafka import Kafka, java
from ops.stack.kafka_config import properties
from ops.stack.local import silent
from ops.stack.part import Site
from ops.stack.ports import FILE, assign, holder
from ops.stack.services import named
from schemas.errors import StackError, UnreachableError, UsageError
from streams.settings import load
from streams.slot import bindable

NAMES = ("one", "two", "three")
FOO = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"  # the digest of "foo"


def test_ports_are_chosen_once_and_kept(tmp_path: Path) -> None:
    first = assign(tmp_path, NAMES)
    assert len(set(first.values())) == 3
    assert assign(tmp_path, NAMES) == first
    more = assign(tmp_path, (*NAMES, "four"))
    assert {name: more[name] for name in NAMES} == first


def test_processes_that_ask_at_once_are_told_the_same_ports(tmp_path: Path) -> None:
    script = f"import sys; from pathlib import Path; from ops.stack.ports import assign; print(assign(Path(sys.argv[1]), {NAMES}))"
    askers = [subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True) for _ in range(4)]
    assert len({asker.communicate()[0] for asker in askers}) == 1


def test_a_taken_port_names_who_takes_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert not bindable(port)
        assert "process" in holder(port)
    assert holder(port) == ""


def test_a_broken_ports_file_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("{")
    with pytest.raises(StackError, match="is broken"):
        assign(tmp_path, NAMES)


def test_every_jar_is_locked_by_coordinates_and_digest() -> None:
    locked = jars.locked()
    assert len({(jar.group, jar.artifact) for jar in locked}) == len(locked) > 40
    assert all(len(jar.sha256) == 64 for jar in locked)
    assert jars.KAFKA in {jar.coordinates for jar in locked}


def test_a_changed_jar_counts_as_missing(tmp_path: Path) -> None:
    lock = tmp_path / "some.lock"
    lock.write_text(f"# comment\ng:a:1 {FOO}\n")
    folder = jars.folder_of(tmp_path, lock)
    folder.mkdir(parents=True)
    assert len(jars.missing(tmp_path, lock)) == 1
    (folder / "a-1.jar").write_text("foo")
    assert jars.missing(tmp_path, lock) == []
    (folder / "a-1.jar").write_text("fou")
    assert [jar.coordinates for jar in jars.missing(tmp_path, lock)] == ["g:a:1"]


def test_what_a_killed_fetch_left_beside_the_jars_is_deleted_by_the_next_one(tmp_path: Path) -> None:
    lock = tmp_path / "some.lock"
    lock.write_text(f"g:a:1 {FOO}\n")
    folder = jars.folder_of(tmp_path, lock)
    (folder / "download-x" / "part").mkdir(parents=True)
    with ThreadPoolExecutor(1) as pool:
        with alone(folder.with_suffix(".lock")):
            fetched = pool.submit(jars.fetch, tmp_path, silent, lock)
            time.sleep(0.2)
            (folder / "a-1.jar").write_text("foo")  # by whoever fetched first
        assert fetched.result(10) == folder
    assert [file.name for file in folder.iterdir()] == ["a-1.jar"]


def test_letters_beyond_ascii_are_escaped_as_java_reads_its_properties() -> None:
    assert properties("log.dirs=/a b/für 😀") == r"log.dirs=/a b/f\u00fcr \ud83d\ude00"


def site(folder: Path, java: str | None = None) -> Site:
    return Site(folder, folder, folder, dict.fromkeys(Kafka.port_names, 1), java)


def test_a_missing_java_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="There is no Java") as caught:
        java(site(tmp_path, "/nowhere/java"))
    assert "WEFT_JAVA" in caught.value.hint


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        ("java.io.IOException: No space left on device", "the disk is full"),
        ("bind: Address already in use", "one of its ports is taken"),
        ("There is insufficient memory for the Java Runtime", "too little memory"),
        ("something new", "did not answer"),
    ],
)
def test_what_a_part_said_last_becomes_a_cause(tmp_path: Path, said: str, cause: str) -> None:
    part = Kafka(site(tmp_path))
    part.log_file.parent.mkdir(parents=True)
    part.log_file.write_text(f"INFO all is well\n{said}\n")
    error = why(part, "did not answer within 90 s")
    assert cause in error.sentence
    assert error.hint


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("WEFT_DATA", "WEFT_PROJECT", "WEFT_BOOTSTRAP", "WEFT_LOG_NAME"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


@pytest.mark.parametrize(
    ("variables", "toml", "expected"),
    [
        ({}, "", "weft"),
        ({}, 'log_name = "from-file"', "from-file"),
        ({"WEFT_LOG_NAME": "from-environment"}, 'log_name = "from-file"', "from-environment"),
    ],
)
def test_the_environment_comes_before_the_file(
    tmp_path: Path, environment: pytest.MonkeyPatch, variables: Mapping[str, str], toml: str, expected: str
) -> None:
    (tmp_path / "weft.toml").write_text(toml)
    for name, value in variables.items():
        environment.setenv(name, value)
    settings = load(project=tmp_path)
    assert settings.log_name == expected
    assert settings.data_folder == tmp_path / ".weft"


@pytest.mark.parametrize("toml", ["bootstrop = 1", "log_name = [1]", "log_name = ", 'other = "x"'])
def test_a_wrong_settings_file_is_a_usage_error(tmp_path: Path, environment: pytest.MonkeyPatch, toml: str) -> None:
    del environment
    (tmp_path / "weft.toml").write_text(toml)
    with pytest.raises(UsageError) as caught:
        load(project=tmp_path)
    assert "\n" not in caught.value.sentence
    assert caught.value.hint


def test_the_ports_file_is_plain_json(tmp_path: Path) -> None:
    assert json.loads((tmp_path / FILE).read_text() if assign(tmp_path, NAMES) else "") == assign(tmp_path, NAMES)


@pytest.mark.parametrize("wrong", ["kafka", "kafka:", "kafka:abc", "kafka:99999", ":9092", "one:9092,,two:9092"])
def test_bootstrap_servers_are_hosts_with_ports(tmp_path: Path, environment: pytest.MonkeyPatch, wrong: str) -> None:
    environment.setenv("WEFT_BOOTSTRAP", wrong)
    with pytest.raises(UsageError, match="is no address") as caught:
        load(project=tmp_path)
    assert "WEFT_BOOTSTRAP" in caught.value.hint


def test_a_broker_that_does_not_answer_is_told_with_who_named_it(tmp_path: Path, environment: pytest.MonkeyPatch) -> None:
    error = UnreachableError("no Kafka broker answers at there:9092", "weft up")
    assert named(error, load(project=tmp_path)) is error  # the local stack's own address
    (tmp_path / "weft.toml").write_text('bootstrap = "there:9092"')
    assert named(error, load(project=tmp_path)).sentence == "no Kafka broker answers at there:9092 (line 1 of weft.toml)"
    environment.setenv("WEFT_BOOTSTRAP", "there:9092")
    told = named(error, load(project=tmp_path))
    assert told.sentence == "no Kafka broker answers at there:9092 (variable WEFT_BOOTSTRAP)"
    assert "variable WEFT_BOOTSTRAP" in told.hint
