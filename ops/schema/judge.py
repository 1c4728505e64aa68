"""Says of a change to a contract what breaks, for whom, and what to do about it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple

from ops.schema.versions import Version, Versions
from schemas.compatibility import Break, Kind, breaks, renames, same
from schemas.contracts import Contract, Contracts

Mode = Literal["backward", "forward", "full"]
Direction = Literal["backward", "forward"]

DIRECTIONS: Final[Mapping[Mode, tuple[Direction, ...]]] = {
    "backward": ("backward",),
    "forward": ("forward",),
    "full": ("backward", "forward"),
}


class Fault(NamedTuple):
    """One break, in words."""

    direction: Direction
    kind: Kind
    path: str
    against: str
    sentence: str
    do: str


@dataclass(frozen=True, slots=True)
class Judged:
    """What a comparison of one contract came to."""

    name: str
    against: Sequence[str]  # the versions that it was compared with
    changed: bool
    faults: Sequence[Fault]
    notes: Sequence[str] = field(default=())

    def as_json(self) -> dict[str, Any]:
        """As plain values."""
        faults = [fault._asdict() for fault in self.faults]
        told = {"schema": self.name, "against": list(self.against), "changed": self.changed, "compatible": not faults}
        return told | {"breaks": faults, "notes": list(self.notes)}


def judge(name: str, contracts: Contracts, older: Versions, mode: Mode, transitive: bool, marked: bool = True) -> Judged:
    """Compare a contract with its older versions. `marked`: whether values name their schema by fingerprint."""
    new = contracts[name]
    versions = older.of(name, transitive)
    faults: dict[tuple[str, str, str], Fault] = {}  # the same break against several versions is said once
    for label, old in versions:
        for direction in DIRECTIONS[mode]:
            found = breaks(old, new) if direction == "backward" else breaks(new, old)
            was = {one.path: one.was for one in renames(old, new)}
            for one in found:
                faults.setdefault((direction, one.kind, one.path), _said(one, direction, label, was.get(one.path, "")))
    changed = any(not same(old, new) for _, old in versions)
    notes = _lost(versions, new) if "backward" in DIRECTIONS[mode] else []
    notes += _notes(new, [old for _, old in versions], contracts) if marked else []
    return Judged(name, [label for label, _ in versions], changed, list(faults.values()), notes)


def _lost(versions: Sequence[Version], new: Contract) -> list[str]:
    """What breaks no reader, and yet is not read any more; of several versions the newest is named."""
    found = {one.path: (one.was, label) for label, old in reversed(versions) for one in renames(old, new) if one.default}
    return [
        f"`{was}` is gone and `{path}` is new, with a default: what {label} wrote as `{was}` is read as that default. "
        f"If it is that field renamed, {_alias(path, was)}"
        for path, (was, label) in found.items()
    ]


def _alias(path: str, was: str) -> str:
    return f'add "aliases": ["{was}"] to the field `{path}`'


def _notes(new: Contract, older: Sequence[Contract], contracts: Contracts) -> list[str]:
    gone = [old for old in older if old.fingerprint != new.fingerprint and contracts.by_fingerprint(old.fingerprint) is None]
    if not gone:
        return []
    marks = ", ".join(old.fingerprint.hex() for old in gone)
    return [
        f"values in single-object encoding that were written before name a schema ({marks}) that no file here has, and would be dead "
        f"letters (unknown-schema): keep it with `weft schema keep {new.name} --from REF`"
    ]


def _said(one: Break, direction: Direction, label: str, was: str) -> Fault:
    """In words: backward, the new schema reads what the older one wrote; forward, the other way. `was`: the name it may have had."""
    what, do = _WORDS[one.kind, direction](one)
    if was and (one.kind, direction) == ("no-default", "backward"):
        what, do = f"{what}, and `{was}` is gone", f"if it is `{was}` renamed, {_alias(one.path, was)}; else give it a default"
    where = f"`{one.path}`" if one.path else "the record"
    if direction == "backward":
        whom = f"who reads with the new schema can't read what was written with {label}"
    else:
        whom = f"who still reads with {label} can't read what is written with the new schema"
    return Fault(direction, one.kind, one.path, label, f"{where} {what}: {whom}", do)


Words = Callable[[Break], tuple[str, str]]

_WIDEN: Final = "keep the type, widen it (int, long, float, double; string and bytes are one), or add a field of another name"
_FIRST: Final = "let every reader take the new schema first (that it can is `--mode backward`), or add a field of another name"

_WORDS: Final[Mapping[tuple[Kind, Direction], Words]] = {
    ("no-default", "backward"): lambda one: (
        f"({one.reader}) is new and has no default",
        "give it a default",
    ),
    ("no-default", "forward"): lambda one: (
        f"({one.reader}) is gone, and had no default",
        "keep it; or give it a default in one version, and take it away in the next, when every reader has the first",
    ),
    ("type", "backward"): lambda one: (f"was {one.writer} and is {one.reader}", _WIDEN),
    ("type", "forward"): lambda one: (f"was {one.reader} and is {one.writer}", _FIRST),
    ("logical", "backward"): lambda one: (f"was {one.writer} and is {one.reader}", "keep the type, or add a field of another name"),
    ("logical", "forward"): lambda one: (f"was {one.reader} and is {one.writer}", "keep the type, or add a field of another name"),
    ("symbols", "backward"): lambda one: (f"can't be {one.writer} any more", "keep the symbols, or give the enum a default among its own"),
    ("symbols", "forward"): lambda one: (
        f"can now be {one.writer}, which was no symbol of it",
        "give the enum a default in one version, and it new symbols in the next, when every reader has the first",
    ),
    ("name", "backward"): lambda one: (f"was {one.writer} and is {one.reader}", "keep the name, or add the old one as an alias"),
    ("name", "forward"): lambda one: (f"was {one.reader} and is {one.writer}", "keep the name: an alias helps only who has the new schema"),
    ("size", "backward"): lambda one: (f"had {one.writer} bytes and has {one.reader}", "keep the size, or add a field of another name"),
    ("size", "forward"): lambda one: (f"had {one.reader} bytes and has {one.writer}", "keep the size, or add a field of another name"),
}
