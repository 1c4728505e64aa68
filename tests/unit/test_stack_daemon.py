"""A part's process: found again, ended with all that it started, and never confused with another."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from ops.stack import launch
from ops.stack.daemon import MARK, Daemon

STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(300)"
PARENT = f"""
import subprocess, sys, time
subprocess.Popen([sys.executable, '-c', {STUBBORN!r}], start_new_session=True)
print('parent', flush=True)
time.sleep(300)
"""


def wait_for(what: Callable[[], object]) -> None:
    until = time.monotonic() + 20
    while not what():
        assert time.monotonic() < until
        time.sleep(0.02)


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    made = Daemon(tmp_path / "a part")
    yield made
    made.stop(grace_s=0.1)


def start(daemon: Daemon, script: str, word: str) -> psutil.Process:
    daemon.start([sys.executable, "-c", script])
    wait_for(lambda: word in daemon.tail())
    process = daemon.process()
    assert process is not None
    return process


def test_a_process_that_ignores_the_request_is_killed(daemon: Daemon) -> None:
    process = start(daemon, STUBBORN, "deaf")
    daemon.stop(grace_s=0.2)
    assert daemon.process() is None
    assert not daemon.started
    assert not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def test_what_a_process_started_ends_with_it_even_in_a_session_of_its_own(daemon: Daemon) -> None:
    start(daemon, PARENT, "deaf")
    assert len(daemon.members()) == 2
    daemon.stop(grace_s=5)
    assert daemon.members() == []


def test_what_outlives_a_killed_process_is_still_found(daemon: Daemon) -> None:
    start(daemon, PARENT, "deaf").kill()
    wait_for(lambda: daemon.process() is None)
    assert len(daemon.members()) == 1
    daemon.stop(grace_s=5)
    assert daemon.members() == []


def test_another_process_with_the_same_pid_is_never_touched(daemon: Daemon) -> None:
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
    try:
        daemon.folder.mkdir(parents=True)
        created = psutil.Process(other.pid).create_time()
        daemon.pid_file.write_text(json.dumps({"pid": other.pid, "created": created - 3600}))
        assert daemon.process() is None
        daemon.stop(grace_s=0.1)
        assert other.poll() is None
        assert not daemon.started
    finally:
        other.kill()
        other.wait()


def test_a_process_that_ended_by_itself_is_started_but_not_there(daemon: Daemon) -> None:
    daemon.start([sys.executable, "-c", "print('done')"])
    wait_for(lambda: daemon.started)
    wait_for(lambda: daemon.process() is None)
    assert daemon.started
    assert daemon.tail() == "done"


def test_a_launcher_whose_parent_has_gone_starts_nothing(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    argv = [sys.executable, launch.__file__, "1", str(tmp_path / "process.json"), "touch", str(trace)]  # 1 is not its parent
    subprocess.run(argv, check=True, env={MARK: str(tmp_path)})
    assert (tmp_path / "process.json").exists()
    assert not trace.exists()


def test_a_broken_pid_file_means_that_nothing_runs(daemon: Daemon) -> None:
    daemon.folder.mkdir(parents=True)
    daemon.pid_file.write_text("{")
    assert daemon.process() is None


def test_what_is_started_inherits_no_password(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "KAFKA_PASSWORD",
        "KAFKA_KEY_PASSWORD_FILE",
        "REGISTRY_AUTH",
        "REDIS",
        "KAFKA_CLIENT_SASL_OAUTHBEARER_CLIENT_SECRET",
        "LOG_NAME",
    ):
        monkeypatch.setenv(f"WEFT_{name}", "open-sesame")
    environ = start(daemon, "import time; print('up', flush=True); time.sleep(300)", "up").environ()
    assert [name for name, value in environ.items() if value == "open-sesame"] == ["WEFT_LOG_NAME"]
