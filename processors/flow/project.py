"""Where the files of flows are found: a project folder, then what is built in; or a bundle that carries them.

A project folder may hold flows/ policies/ rules/ references/ suites/ schemas/ models/ sinks/ plugins/. What is built in has the same form.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

from processors.plugins.found import Plugin, PluginKind, find
from schemas.codecs.registry import Registry
from schemas.contracts import Contract, Contracts

Kind = Literal["flows", "policies", "rules", "references", "suites", "schemas", "models", "sinks"]

ROOT = Path(__file__).resolve().parents[2]
BUILT_IN: Mapping[str, Path] = {
    "flows": ROOT / "processors" / "flows",
    "policies": ROOT / "processors" / "policies",
    "rules": ROOT / "processors" / "rules",
    "references": ROOT / "processors" / "references",
    "suites": ROOT / "processors" / "suites",
    "schemas": ROOT / "schemas" / "avro",
    "models": ROOT / "serving" / "models",
}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*")


class File(NamedTuple):
    """One file: its path as a person would say it, and its text."""

    path: str
    text: str


class Project(Protocol):
    """Gives the files that a flow names."""

    def read(self, kind: Kind, name: str) -> File | None:
        """The file `<kind>/<name>`, e.g. `rules`, `departures.yaml`; None if there is none."""

    def names(self, kind: Kind, suffix: str) -> Sequence[str]:
        """The names that `read` would find, without the suffix, sorted."""

    def contracts(self) -> Contracts:
        """The Avro contracts.

        Raises:
            FlowError: a file among them is none.
        """

    @property
    def remote(self) -> Registry | None:
        """Who is asked for schema ids that no file has; None if nobody is."""

    def plugins(self, kind: PluginKind) -> Mapping[str, Plugin]:
        """The plugins by word, none of them imported."""


@dataclass(frozen=True, slots=True)
class FolderProject:
    """Files from a project folder, else those that are built in."""

    folder: Path | None = None
    remote: Registry | None = None  # not of the files: set where a registry is named

    def folders(self, kind: str) -> tuple[Path, ...]:
        """Where files of the kind may lie, the first winning."""
        own = () if self.folder is None else (self.folder / kind,)
        return (*own, BUILT_IN[kind]) if kind in BUILT_IN else own

    def path(self, kind: str, name: str) -> Path | None:
        """The file or folder `<kind>/<name>`; None if there is none or the name would lead elsewhere."""
        if not _NAME.fullmatch(name):
            return None
        return next((at / name for at in self.folders(kind) if (at / name).exists()), None)

    def read(self, kind: Kind, name: str) -> File | None:
        """The file's text; bytes that are not UTF-8 show as U+FFFD."""
        found = self.path(kind, name)
        if found is None or not found.is_file():
            return None
        return File(_said(found), found.read_text("utf-8", errors="replace"))

    def names(self, kind: Kind, suffix: str) -> Sequence[str]:
        """Names in both places, each once."""
        return sorted(
            {path.relative_to(at).as_posix().removesuffix(suffix) for at in self.folders(kind) for path in at.glob(f"**/*{suffix}")}
        )

    def flows(self, every: bool = False) -> Sequence[str]:
        """The folder's own flows; those built in too where `every` is wanted, or the folder has none."""
        own = self.folders("flows")[:-1]
        found = sorted({path.relative_to(at).as_posix().removesuffix(".yaml") for at in own for path in at.glob("**/*.yaml")})
        return self.names("flows", ".yaml") if every or not found else found

    def contracts(self) -> Contracts:
        """Those of the project folder, then those built in."""
        return Contracts.load(*self.folders("schemas")[:-1])

    def plugins(self, kind: PluginKind) -> Mapping[str, Plugin]:
        """Those of the project folder, then those of installed packages."""
        return find(kind, self.folder)


@dataclass(frozen=True, slots=True)
class FrozenProject:
    """Files that a bundle carries, so that a flow means what it meant; only writers' schemas unknown then are looked up in `behind`."""

    files: Mapping[str, str]  # by `<kind>/<name>`
    behind: Project

    @property
    def remote(self) -> Registry | None:
        """As the one behind."""
        return self.behind.remote

    def read(self, kind: Kind, name: str) -> File | None:
        """The file's text."""
        path = f"{kind}/{name}"
        return File(path, self.files[path]) if path in self.files else None

    def names(self, kind: Kind, suffix: str) -> Sequence[str]:
        """Names that the bundle carries."""
        own = f"{kind}/"
        return sorted(path.removeprefix(own).removesuffix(suffix) for path in self.files if path.startswith(own) and path.endswith(suffix))

    def contracts(self) -> Contracts:
        """The bundle's; by fingerprint also those that stand behind it now."""
        own = [name for name in self.names("schemas", ".avsc") if "/" not in name]
        return _Layered({name: Contract.of(json.loads(self.files[f"schemas/{name}.avsc"])) for name in own}, self.behind.contracts())

    def plugins(self, kind: PluginKind) -> Mapping[str, Plugin]:
        """As they are now: a bundle carries no code."""
        return self.behind.plugins(kind)


class RecordingProject:
    """Another project, and every file that was read from it."""

    def __init__(self, inner: Project) -> None:
        self.inner = inner
        self.files: dict[str, str] = {}
        self._contracts: Contracts | None = None

    @property
    def remote(self) -> Registry | None:
        """As the inner one."""
        return self.inner.remote

    def read(self, kind: Kind, name: str) -> File | None:
        """As the inner one; what was found is kept under `<kind>/<name>`."""
        file = self.inner.read(kind, name)
        if file is not None:
            self.files[f"{kind}/{name}"] = file.text
        return file

    def names(self, kind: Kind, suffix: str) -> Sequence[str]:
        """As the inner one."""
        return self.inner.names(kind, suffix)

    def contracts(self) -> Contracts:
        """As the inner one, read once; those that are taken out by name are kept as files."""
        if self._contracts is None:
            self._contracts = _Recorded(self.inner.contracts(), self.files)
        return self._contracts

    def plugins(self, kind: PluginKind) -> Mapping[str, Plugin]:
        """As the inner one."""
        return self.inner.plugins(kind)


class _Layered(Contracts):
    """A bundle's contracts, and behind them others by fingerprint."""

    def __init__(self, current: Mapping[str, Contract], behind: Contracts) -> None:
        super().__init__(current, {contract.fingerprint: contract for contract in current.values()})
        self._behind = behind

    def by_fingerprint(self, fingerprint: bytes) -> Contract | None:
        """The bundle's own version, else a later one."""
        return super().by_fingerprint(fingerprint) or self._behind.by_fingerprint(fingerprint)


class _Recorded(Contracts):
    """Contracts that note which were taken out."""

    def __init__(self, inner: Contracts, files: dict[str, str]) -> None:
        super().__init__(inner, {})
        self._inner = inner
        self._files = files

    def __getitem__(self, name: str) -> Contract:
        contract = self._inner[name]
        self._files[f"schemas/{name}.avsc"] = contract.text
        return contract

    def by_fingerprint(self, fingerprint: bytes) -> Contract | None:
        """As the inner one."""
        return self._inner.by_fingerprint(fingerprint)


def project(folder: Path | None = None) -> FolderProject:
    """The project in the given folder, else in the working directory, over what is built in."""
    return FolderProject(folder if folder is not None else Path.cwd())


def _said(path: Path) -> str:
    """The path as seen from the working directory, where it lies below it."""
    here = Path.cwd()
    resolved = path.resolve()
    return str(resolved.relative_to(here)) if resolved.is_relative_to(here) else str(path)
