"""Files that are written whole or not at all."""

from pathlib import Path

import pytest

from ops.quality.day import Day, folder, save
from ops.whole import write


def test_a_link_that_lies_where_a_file_is_made_is_not_followed(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.write_text("mine")
    at = folder(tmp_path, "f")
    at.mkdir(parents=True)
    for name in ("2024-01-01.json", "2024-01-01.json.new", "2024-01-01.html", "2024-01-01.html.new"):
        (at / name).symlink_to(kept)
    save(tmp_path, Day(flow="f", day="2024-01-01"), "page")
    assert kept.read_text() == "mine"
    assert (at / "2024-01-01.html").read_text() == "page"
    assert not (at / "2024-01-01.html").is_symlink()


def test_what_can_not_be_written_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(UnicodeEncodeError):
        write(tmp_path / "page", "\ud800")
    assert not list(tmp_path.iterdir())
