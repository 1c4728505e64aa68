"""A demo's folder: one demo at a time in it, and what a killed one leaves is ended by who stood beside it."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from ops.demo import after
from ops.demo.place import FLOW, Place, alone
from ops.stack.daemon import MARK
from ops.stack.marked import claim
from schemas.errors import UsageError
from streams.settings import Settings
from streams.slot import run_folder


def place(folder: Path) -> Place:
    return Place.of(Settings(data=folder), serve=False)


def test_a_second_demo_in_a_folder_is_refused_at_once(tmp_path: Path) -> None:
    with alone(place(tmp_path)), pytest.raises(UsageError, match="runs in"), alone(place(tmp_path)):
        pass
    with alone(place(tmp_path)):
        pass


def test_a_demo_waits_for_whoever_clears_away_after_a_killed_one(tmp_path: Path) -> None:
    clears, cleared = threading.Event(), threading.Event()

    def clear() -> None:
        with alone(place(tmp_path), clearing=True):
            clears.set()
            time.sleep(0.3)
            cleared.set()

    other = threading.Thread(target=clear)
    other.start()
    assert clears.wait(10)
    with alone(place(tmp_path)):
        assert cleared.is_set()
        with pytest.raises(UsageError), alone(place(tmp_path)):  # it is a demo that holds it now
            pass
    other.join()


def test_whoever_clears_away_waits_for_the_killed_one_s_lock(tmp_path: Path) -> None:
    cleared = threading.Event()

    def clear() -> None:
        with alone(place(tmp_path), clearing=True):
            cleared.set()

    other = threading.Thread(target=clear)
    with alone(place(tmp_path)):
        other.start()
        assert not cleared.wait(0.3)
    assert cleared.wait(5)
    other.join()


@pytest.mark.parametrize("word", [b"", after.DONE])
def test_what_a_demo_left_is_ended_unless_it_said_that_it_is_done(tmp_path: Path, word: bytes) -> None:
    demo = place(tmp_path)
    claim(demo.settings.data_folder)
    run_folder(demo.settings.data_folder, FLOW).mkdir(parents=True)
    worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"], env={**os.environ, **demo.environment})
    threading.Thread(target=worker.wait).start()  # it is nobody's zombie
    try:
        asked = f"{demo.settings.data_folder}\n".encode() + word
        environment = {name: value for name, value in os.environ.items() if name != MARK}
        subprocess.run([sys.executable, "-m", "ops.demo.after"], input=asked, env=environment, check=True, timeout=60)
        assert psutil.pid_exists(worker.pid) == bool(word)
    finally:
        worker.kill()
        worker.wait()
