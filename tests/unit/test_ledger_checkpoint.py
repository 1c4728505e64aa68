"""Checkpoints and keys in the formats of C2SP."""

import base64
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import UsageError
from schemas.positions import Source
from streams.ledger import checkpoint
from streams.ledger.key import LogKey, Verifier
from streams.ledger.tree import Tree

KEY = LogKey.generate()
TREE = Tree.empty("weft", "f", Source("t", 0), "id").extended([b"a", b"b", b"c"])
HEAD = checkpoint.head(TREE)
NOTE = checkpoint.sign(HEAD, KEY)
VERIFIER = KEY.verifier(TREE.origin)


def test_a_checkpoint_verifies_with_its_key_and_is_the_same_each_time() -> None:
    assert checkpoint.verify(NOTE, [VERIFIER]) == HEAD
    assert checkpoint.sign(HEAD, KEY) == NOTE
    lines = NOTE.decode().split("\n")
    assert lines[:4] == ["weft/f/t/0", "3", base64.b64encode(TREE.root()).decode(), ""]
    assert lines[4].startswith("— weft/f/t/0 ")


@given(st.integers(0, len(NOTE) - 1), st.integers(1, 255))
def test_a_changed_checkpoint_is_refused(at: int, flip: int) -> None:
    changed = NOTE[:at] + bytes([NOTE[at] ^ flip]) + NOTE[at + 1 :]
    with pytest.raises(ValueError, match=r"."):
        checkpoint.verify(changed, [VERIFIER])


@given(st.binary(max_size=200))
def test_other_bytes_are_no_checkpoint(note: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        checkpoint.verify(note, [VERIFIER])


def test_signatures_of_unknown_keys_are_ignored() -> None:
    other = LogKey.generate()
    witness = checkpoint.sign(HEAD, other).decode().rpartition("\n\n")[2]
    assert checkpoint.verify(NOTE + witness.encode(), [VERIFIER]) == HEAD
    with pytest.raises(ValueError, match="no known key"):
        checkpoint.verify(NOTE, [other.verifier(TREE.origin)])
    with pytest.raises(ValueError, match="no known key"):
        checkpoint.verify(NOTE, [KEY.verifier("weft/f/t/1")])


def test_a_verifier_key_comes_back_from_its_text() -> None:
    assert Verifier.parse(str(VERIFIER)) == VERIFIER
    name, ident, encoded = str(VERIFIER).split("+", 2)
    for bad in (
        "",
        name,
        f"{name}+{ident}",
        f"{name}+00000000+{encoded}",
        f"x{name}+{ident}+{encoded}",
        f"{name}+{ident}+!",
        f"{name}+{ident}+AAAA",
    ):
        with pytest.raises(ValueError, match=r"."):
            Verifier.parse(bad)


def test_the_key_published_by_the_go_checksum_database_is_read() -> None:
    assert Verifier.parse("sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8").name == "sum.golang.org"


def test_a_key_file_is_private_and_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "log.pem"
    key = LogKey.create(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert LogKey.load(path).verifier("a") == key.verifier("a")
    with pytest.raises(UsageError, match="already"):
        LogKey.create(path)
    path.chmod(0o644)
    with pytest.raises(UsageError, match="Others may read"):
        LogKey.load(path)


def test_a_missing_or_wrong_key_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="can't be read"):
        LogKey.load(tmp_path / "none.pem")
    wrong = tmp_path / "wrong.pem"
    wrong.touch(0o600)
    with pytest.raises(UsageError, match="no private key"):
        LogKey.load(wrong)


def test_the_key_of_another_tree_signs_nothing_here() -> None:
    other = KEY.verifier("weft/f/t/1")
    line = base64.b64encode(other.id + KEY.sign(HEAD.text.encode())).decode()
    foreign = f"{HEAD.text}\n— {other.name} {line}\n".encode()
    with pytest.raises(ValueError, match="no known key of weft/f/t/0"):
        checkpoint.verify(foreign, [VERIFIER, other])
