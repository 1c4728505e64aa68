"""Only a data folder that is Weft's own is used, and deleted: a setting can name any folder of the user."""

from pathlib import Path

import pytest

from ops.stack.local import LocalStack
from ops.stack.marked import MARK, claim
from ops.stack.ports import assign
from schemas.errors import UsageError
from streams.ledger.key import LogKey
from streams.settings import Settings


def test_a_new_or_empty_folder_becomes_weft_s_and_this_user_s_alone(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir(mode=0o755)
    for folder in (tmp_path / "empty", tmp_path / "above" / "new"):
        claim(folder)
        assert (folder / MARK).is_file()
        assert folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("held", ["letter.txt", "kafka/data", "redis", "demo", "run/other", "ports.json", ".git"])
def test_a_folder_that_holds_anything_else_is_refused_and_left_as_it_was(tmp_path: Path, held: str) -> None:
    (tmp_path / held).mkdir(parents=True)
    before = sorted(tmp_path.rglob("*"))
    stack = LocalStack(Settings(data=tmp_path))
    for use in (stack.up, stack.down, stack.wipe, stack.status, stack.new_ports, stack.addresses):
        with pytest.raises(UsageError, match="not a data folder of Weft") as caught:
            use()
        assert "--data" in caught.value.hint
    assert sorted(tmp_path.rglob("*")) == before


def test_what_weft_put_there_before_it_was_marked_is_weft_s(tmp_path: Path) -> None:
    assign(tmp_path / "ports", ["one"])
    LogKey.create(tmp_path / "key" / "log-key.pem")
    (tmp_path / "demo" / "demo" / "stack").mkdir(parents=True)
    (tmp_path / "demo" / "demo" / "demo.lock").touch()
    for name in ("ports", "key", "demo"):
        LocalStack(Settings(data=tmp_path / name)).wipe()
        assert not (tmp_path / name).exists()


def test_one_foreign_file_beside_what_weft_put_there_is_enough_to_refuse(tmp_path: Path) -> None:
    assign(tmp_path, ["one"])
    (tmp_path / "letter.txt").touch()
    with pytest.raises(UsageError, match=r"letter\.txt"):
        claim(tmp_path)


def test_a_marked_folder_is_wiped_with_all_that_came_into_it(tmp_path: Path) -> None:
    data = tmp_path / "data"
    claim(data)
    (data / "more").touch()
    LocalStack(Settings(data=data)).wipe()
    assert not data.exists()
    LocalStack(Settings(data=data)).wipe()
    assert not data.exists()
