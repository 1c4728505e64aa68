"""The demo, short: the first days of the year and every hostile record, on a stack of its own, with the models in the worker."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ops.demo.fates import Fate
from ops.demo.place import Place
from streams.settings import Settings
from tests.models import trained


def weft(data: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """One command, on a data folder."""
    command = [sys.executable, "-m", "ops.cli.main", "--data", str(data), *arguments]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WEFT_")}
    return subprocess.run(command, capture_output=True, text=True, timeout=240, check=False, env=kept)


@pytest.mark.slow
def test_a_short_demo_proves_the_promise_and_leaves_nothing_running(tmp_path: Path) -> None:
    trained()
    ended = weft(tmp_path, "demo", "--limit", "2000", "--no-serve")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "2,029 events" in ended.stdout
    assert "each in exactly one outcome" in ended.stdout
    assert "All 29 ended as they had to." in ended.stdout
    assert "NOT PROVEN" not in ended.stdout
    place = Place.of(Settings(data=tmp_path), serve=False)
    assert place.left() == []
    assert not place.settings.data_folder.exists()
    checked = weft(tmp_path, "audit", "check", str(place.proof / "receipt.tlog-proof"), "--key", str(place.proof / "log.vkeys"))
    assert checked.returncode == 0, checked.stderr
    assert (place.proof / "report.html").as_uri() in ended.stdout
    page = (place.proof / "report.html").read_text()
    assert "2,029 events came in" in page
    assert page.count("<svg") == 6


@pytest.mark.slow
def test_ctrl_c_while_the_model_server_starts_ends_the_demo_at_once_and_leaves_nothing_running(tmp_path: Path) -> None:
    trained()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever runs in the background ignores it, and so does what he starts
    place = Place.of(Settings(data=tmp_path), serve=True)
    (serve,) = (part.daemon for part in place.stack.parts(["serve"]))
    command = [sys.executable, "-m", "ops.cli.main", "--data", str(tmp_path), "demo", "--limit", "2000"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as demo:
        try:
            until_s = time.monotonic() + 60
            while serve.process() is None and time.monotonic() < until_s:
                time.sleep(0.1)
            time.sleep(2.0)  # Ray's own processes are coming up
            assert demo.poll() is None
            demo.send_signal(signal.SIGINT)
            assert demo.wait(8.0) == 130  # a start goes on for ten seconds and more, and took no notice
        finally:
            demo.kill()
            place.stack.down()
    assert place.left() == []


def test_a_hostile_record_that_ends_otherwise_is_not_sound() -> None:
    good = Fate("random bytes", "t/0/1", "dead-letter: unknown-schema", "dead-letter: unknown-schema", ["d/0/0"])
    assert good.sound
    assert not good._replace(found="result").sound
    assert not good._replace(records=[]).sound
    assert not good._replace(records=["d/0/0", "d/0/1"]).sound
    assert Fate("a tombstone", "t/0/2", "filtered: tombstone", "filtered: tombstone", []).sound
    assert not Fate("a tombstone", "t/0/2", "filtered: tombstone", "filtered: tombstone", ["d/0/2"]).sound


def test_a_demo_touches_no_real_installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/none")  # nobody can write there: downloads go into the data folder, not the demo's own
    real = Settings(data=tmp_path, bootstrap="kafka:9092", redis="redis://there:6379/0", serve="there:8001", log_key=Path("/etc/log.pem"))
    own = Place.of(real, serve=True).settings
    assert (own.bootstrap, own.redis, own.serve) == (None, None, None)
    assert own.log_key_file.is_relative_to(tmp_path)
    assert own.cache_folder == real.cache_folder
