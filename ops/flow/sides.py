"""The two sides of a comparison: a version that was applied, the project's file, or another file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from processors.flow.bundle import Applied, Bundle
from processors.flow.check import Checked, check
from processors.flow.project import File, FolderProject, FrozenProject, Kind
from processors.flow.yaml import parse
from processors.plugins.found import Plugin, PluginKind
from schemas.codecs.registry import Registry
from schemas.contracts import Contracts
from schemas.errors import UsageError


class Side(NamedTuple):
    """One side, and what to call it."""

    label: str
    checked: Checked


def needs_applied(texts: Sequence[str]) -> bool:
    """Whether any side stands on the control topic."""
    return len(texts) == 1 or any(not _is_file(text) and "@" in text for text in texts)


def sides(texts: Sequence[str], project: FolderProject, applied: Applied) -> tuple[Side, Side]:
    """Two sides. Of one alone: a version and the project's file, or what is applied and the file that is named.

    Raises:
        UsageError: there is no such version.
        FlowError: there is no such flow.
    """
    if len(texts) > 1:
        return side(texts[0], project, applied), side(texts[1], project, applied)
    if not _is_file(texts[0]) and "@" in texts[0]:
        return side(texts[0], project, applied), side(texts[0].partition("@")[0], project, applied)
    newer = side(texts[0], project, applied)
    flow = newer.checked.sound().flow
    current = applied.current.get(flow)
    if current is None:
        raise UsageError(f"the flow {flow} is not applied, so there is nothing to compare with", f"Apply it: weft flow apply {flow}")
    return side(f"{flow}@{current}", project, applied), newer


def side(text: str, project: FolderProject, applied: Applied) -> Side:
    """`flow@version`, a path that ends in .yaml, or a flow's name."""
    if _is_file(text):
        return _file(Path(text), project)
    flow, at, version = text.partition("@")
    if not at:
        checked = check(project, flow)
        return Side(f"{checked.page.file} ({checked.sound().version})", checked)
    made = version_of(applied, flow, version)
    return Side(text, check(FrozenProject(made.files, project), flow))


def version_of(applied: Applied, flow: str, version: str) -> Bundle:
    """A version that was applied.

    Raises:
        UsageError: it never was.
    """
    versions = applied.bundles.get(flow, {})
    if version not in versions:
        there = ", ".join(sorted(versions, key=order)) or "none"
        raise UsageError(f"{flow}@{version} was never applied", f"Applied were: {there}.")
    return Bundle.decode(versions[version])


def order(version: str) -> tuple[int, ...]:
    """Where a version stands among others."""
    return tuple(int(part) for part in version.split("."))


def _is_file(text: str) -> bool:
    return text.endswith((".yaml", ".yml"))


def _file(path: Path, project: FolderProject) -> Side:
    try:
        told = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} can't be read: {error}") from error
    data = parse(str(path), told).data
    name = data.get("flow") if isinstance(data, dict) else None
    if not isinstance(name, str):
        raise UsageError(f"{path} is no flow file: it says no `flow`")
    return Side(str(path), check(_Instead(project, File(str(path), told), f"{name}.yaml"), name))


@dataclass(frozen=True, slots=True)
class _Instead:
    """A project with one flow file in place of its own."""

    inner: FolderProject
    file: File
    name: str

    @property
    def remote(self) -> Registry | None:
        return self.inner.remote

    def read(self, kind: Kind, name: str) -> File | None:
        return self.file if (kind, name) == ("flows", self.name) else self.inner.read(kind, name)

    def names(self, kind: Kind, suffix: str) -> Sequence[str]:
        return self.inner.names(kind, suffix)

    def contracts(self) -> Contracts:
        return self.inner.contracts()

    def plugins(self, kind: PluginKind) -> Mapping[str, Plugin]:
        return self.inner.plugins(kind)
