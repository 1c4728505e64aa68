"""Environments of the benchmark's peers: made once, anew when the lock has changed, and a sentence where they can't be made."""

from pathlib import Path

import pytest

from ops.bench.contenders import CONTENDERS, USUAL, Peer, chosen
from ops.bench.environments import LOCKS, python_of
from schemas.errors import FailedError, UsageError


def test_an_environment_is_made_once_and_anew_for_another_lock(tmp_path: Path) -> None:
    said: list[str] = []
    lock = tmp_path / "peer.lock"
    lock.write_text("")
    python = python_of("peer", said.append, tmp_path, tmp_path / "made")
    assert python.exists()
    assert python_of("peer", said.append, tmp_path, tmp_path / "made") == python
    assert len(said) == 1
    lock.write_text("# other\n")
    python_of("peer", said.append, tmp_path, tmp_path / "made")
    assert len(said) == 2


def test_what_can_not_be_made_is_said_and_not_taken_for_made(tmp_path: Path) -> None:
    (tmp_path / "peer.lock").write_text("no requirement at all\n")
    for _ in range(2):
        with pytest.raises(FailedError, match="uv pip sync failed"):
            python_of("peer", print, tmp_path, tmp_path / "made")


def test_every_peer_has_a_lock_with_hashes_and_a_file() -> None:
    for contender in CONTENDERS.values():
        if isinstance(contender, Peer):
            assert (LOCKS / f"{contender.file}.py").exists()
            assert not contender.environment or "--hash=sha256:" in (LOCKS / f"{contender.environment}.lock").read_text()


def test_a_name_that_nobody_has_is_refused_with_those_there_are() -> None:
    assert list(chosen(USUAL)) == list(USUAL)
    with pytest.raises(UsageError) as refused:
        chosen(["weft", "flink"])
    assert "bytewax-batched" in refused.value.hint
