"""A stack's life by the command line: it survives a restart, lives beside others, and `down` leaves nothing, whatever happened before."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import redis
from confluent_kafka.admin import AdminClient, NewTopic

from ops.demo.place import Place, alone
from ops.stack import local
from ops.stack.daemon import MARK
from ops.stack.local import LocalStack
from schemas.errors import StackError
from schemas.vocabulary import Exit
from streams.settings import Settings

WEFT = Path(sys.executable).with_name("weft")
PARTS = ("--only", "kafka,redis")


def weft(data: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([WEFT, "--data", data, *arguments], capture_output=True, text=True, check=False)


def processes(data: Path) -> list[psutil.Process]:
    """Every process that was started for the data folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK, "").startswith(f"{data}/") and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "Daten für 😀"
    yield folder
    LocalStack(Settings(data=folder)).down()
    assert processes(folder) == []


def test_a_stack_survives_a_restart_with_data_and_ports(data: Path) -> None:
    started = weft(data, "up", *PARTS)
    assert started.returncode == Exit.DONE, started.stderr
    before = LocalStack(Settings(data=data)).addresses()
    admin = AdminClient({"bootstrap.servers": before["bootstrap"]})
    admin.create_topics([NewTopic("kept", 3, 1)])["kept"].result(10)
    with redis.Redis.from_url(before["redis"]) as client:
        client.set("kept", "1")
    shown = weft(data, "status", "--json", *PARTS)
    assert shown.returncode == Exit.DONE
    assert [part["state"] for part in json.loads(shown.stdout)] == ["running", "running"]

    assert weft(data, "down").returncode == Exit.DONE
    assert processes(data) == []
    assert weft(data, "status", *PARTS).returncode == Exit.UNREACHABLE

    assert weft(data, "up", "--new-ports", *PARTS).returncode == Exit.DONE  # other ports do not lose the data either
    after = LocalStack(Settings(data=data)).addresses()
    assert after["bootstrap"] != before["bootstrap"]
    topics = AdminClient({"bootstrap.servers": after["bootstrap"]}).list_topics(timeout=10).topics
    assert len(topics["kept"].partitions) == 3
    assert (data / "kafka" / "data" / "kept-0").is_dir()  # and not under a name that Java has misread
    with redis.Redis.from_url(after["redis"]) as client:
        assert client.get("kept") == b"1"


def test_two_stacks_live_side_by_side(data: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    try:
        assert weft(data, "up", "--only", "redis").returncode == Exit.DONE
        assert weft(other, "up", "--only", "redis").returncode == Exit.DONE
        assert weft(data, "down").returncode == Exit.DONE
        assert processes(data) == []
        assert weft(other, "status", "--only", "redis").returncode == Exit.DONE
    finally:
        weft(other, "down")


@pytest.mark.parametrize("seed", range(4))
def test_down_leaves_nothing_after_up_was_killed(data: Path, seed: int) -> None:
    starting = subprocess.Popen([WEFT, "--data", data, "up", *PARTS], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(random.Random(seed).uniform(0.3, 4))
    starting.kill()
    starting.wait()
    assert weft(data, "down").returncode == Exit.DONE
    time.sleep(0.5)
    assert processes(data) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_up_ends_what_it_started(data: Path, number: signal.Signals) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever runs in the background ignores it, and so does what he starts
    starting = subprocess.Popen([WEFT, "--data", data, "up", *PARTS], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 60
    while not processes(data) and time.monotonic() < until:
        time.sleep(0.05)
    starting.send_signal(number)
    assert starting.wait(60) == 130
    assert processes(data) == []


def test_wipe_also_ends_the_stack_of_a_demo_that_was_kept(data: Path) -> None:
    assert weft(data, "up", "--only", "redis").returncode == Exit.DONE
    place = Place.of(Settings(data=data), serve=False)
    place.stack.up(["redis"])
    with alone(place):
        refused = weft(data, "down", "--wipe", "--yes")
        assert refused.returncode == Exit.USAGE
        assert "A demo runs in" in refused.stderr
    assert weft(data, "down", "--wipe", "--yes").returncode == Exit.DONE
    assert processes(data) == []
    assert not data.exists()


def test_a_part_that_was_killed_is_crashed_and_starts_again(data: Path) -> None:
    assert weft(data, "up", "--only", "redis").returncode == Exit.DONE
    process = LocalStack(Settings(data=data)).parts(["redis"])[0].daemon.process()
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)
    process.wait(10)
    shown = weft(data, "status", "--only", "redis")
    assert shown.returncode == Exit.UNREACHABLE
    assert "crashed" in shown.stdout
    assert weft(data, "up", "--only", "redis").returncode == Exit.DONE


def test_a_taken_port_is_one_sentence_that_says_what_to_do(data: Path) -> None:
    stack = LocalStack(Settings(data=data))
    host, _, port = stack.addresses()["redis"].removeprefix("redis://").removesuffix("/0").partition(":")
    with socket.create_server((host, int(port))):
        refused = weft(data, "up", "--only", "redis")
    assert refused.returncode == Exit.FAILED
    assert f"Port {port}" in refused.stderr
    assert "--new-ports" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_full_disk_is_one_sentence(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "NEEDED_BYTES", 10**18)
    with pytest.raises(StackError, match="is full") as caught:
        LocalStack(Settings(data=data)).up(["redis"])
    assert "Free some space" in caught.value.hint


def test_a_data_folder_that_can_not_be_one_is_one_sentence(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    refused = weft(file, "up", "--only", "redis")
    assert refused.returncode == Exit.FAILED
    assert "Traceback" not in refused.stderr
    assert "what to do" in refused.stderr
