"""Where Ray puts its session: short enough for its sockets, and closed to other users of the machine."""

import os
import tempfile
from pathlib import Path

import pytest

from schemas.errors import StackError
from serving.app.environment import make_short_folder, remove_short_folder, short_folder

SOCKET = "session_2026-11-21_08-25-20_944914_4194304/sockets/plasma_store"  # with the greatest pid that Linux gives
PATH_BYTES = 107


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_it_is_empty_each_time_and_this_user_s_alone(tmp_path: Path) -> None:
    made = make_short_folder(tmp_path / "data")
    (made / "left").write_text("over")
    assert make_short_folder(tmp_path / "data") == made == short_folder(tmp_path / "data")
    assert list(made.iterdir()) == []
    assert [folder.stat().st_mode & 0o777 for folder in (made, made.parent)] == [0o700, 0o700]
    remove_short_folder(tmp_path / "data")
    assert not made.exists()


def test_a_folder_that_others_may_enter_is_refused_and_nothing_in_it_deleted(tmp_path: Path) -> None:
    made = make_short_folder(tmp_path / "data")
    made.parent.chmod(0o755)
    with pytest.raises(StackError, match="not a folder of this user alone"):
        make_short_folder(tmp_path / "data")
    remove_short_folder(tmp_path / "data")
    assert made.exists()


def test_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (tmp_path / f"weft-{os.getuid()}").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StackError):
        make_short_folder(tmp_path / "data")


@pytest.mark.skipif(os.getuid() != 0, reason="only root gives files away")
def test_another_user_s_folder_is_refused(tmp_path: Path) -> None:
    above = make_short_folder(tmp_path / "data").parent
    os.chown(above, 65534, 65534)
    with pytest.raises(StackError):
        make_short_folder(tmp_path / "data")


def test_socket_paths_are_short_enough_whoever_the_user_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/tmp")
    monkeypatch.setattr(os, "getuid", lambda: 2**32 - 2)
    assert len(str(short_folder(Path("/data")) / SOCKET)) < PATH_BYTES
