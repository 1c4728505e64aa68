"""Where older versions of a contract are found: files kept beside it, git, or a schema registry."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

from connectors.registry.client import HttpRegistry
from processors.flow.check import check
from processors.flow.project import FolderProject
from schemas.contracts import Contract
from schemas.errors import FailedError, UsageError

_FINGERPRINT = "avro-single-object"
_KEPT = re.compile(r"(.+)@([1-9][0-9]*)")


class Version(NamedTuple):
    """An older version, and what to call it."""

    label: str
    contract: Contract


class Versions(Protocol):
    """A place with older versions."""

    def of(self, name: str, every: bool) -> Sequence[Version]:
        """The newest older version of a contract, or every one, the newest first; none if there is none."""


def file_of(project: FolderProject, name: str) -> Path:
    """A contract's file.

    Raises:
        UsageError: there is none.
    """
    found = project.path("schemas", f"{name}.avsc")
    if found is None:
        raise UsageError(f"there is no contract {name}", "`weft schema list` shows those that there are.")
    return found


@dataclass(frozen=True, slots=True)
class Kept:
    """Versions kept as `schemas/<name>@<n>.avsc`, n counting up."""

    project: FolderProject

    def of(self, name: str, every: bool) -> Sequence[Version]:
        """See Versions."""
        numbers = self.numbers(name)
        found = [Version(f"{name}@{number}", self._read(name, number)) for number in reversed(numbers)]
        return found if every else found[:1]

    def numbers(self, name: str) -> Sequence[int]:
        """The versions that there are, ascending."""
        matches = (_KEPT.fullmatch(file) for file in self.project.names("schemas", ".avsc"))
        return sorted(int(match[2]) for match in matches if match and match[1] == name)

    def _read(self, name: str, number: int) -> Contract:
        files = (folder / f"{name}@{number}.avsc" for folder in self.project.folders("schemas"))
        file = next(file for file in files if file.is_file())
        return parsed(file.read_text("utf-8"), _Files(self.project), str(file))


@dataclass(frozen=True, slots=True)
class Git:
    """Versions that git has of a contract's file, up to a ref."""

    project: FolderProject
    ref: str

    def of(self, name: str, every: bool) -> Sequence[Version]:
        """See Versions. Every one: each that the file ever was."""
        file = file_of(self.project, name)
        commit = _git(file.parent, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{self.ref}^{{commit}}")
        if commit is None:
            raise UsageError(f"git knows no {self.ref} in {file.parent}", "Name a branch, tag or commit; or `kept`, or `registry`.")
        commits = [commit.strip()]
        if every:
            commits = (_git(file.parent, "log", "--format=%H", commits[0], "--", file.name) or "").split() or commits
        found = []
        for one in commits:
            text = _git(file.parent, "show", f"{one}:./{file.name}")
            if text is not None:
                label = self.ref if one == commits[0] else one[:10]
                found.append(Version(f"{name} of {label}", parsed(text, _Commit(file.parent, one), f"{file.name} of {label}")))
        return found


@dataclass(frozen=True, slots=True)
class Subjects:
    """Versions under the subjects of a schema registry."""

    project: FolderProject
    registry: HttpRegistry
    subject: str = ""  # else those of the topics that carry the contract

    def of(self, name: str, every: bool) -> Sequence[Version]:
        """See Versions."""
        found = []
        for subject in [self.subject] if self.subject else subjects_of(self.project, name):
            numbers = self.registry.versions(subject)[::-1]
            for number in numbers if every else numbers[:1]:
                try:
                    one = self.registry.version(subject, number)
                except ValueError as error:
                    raise FailedError(f"version {number} of {subject} is no Avro schema of a record: {error}") from error
                if one is not None:
                    found.append(Version(f"version {number} of {subject}", one.contract))
        return found


def under_git(project: FolderProject) -> bool:
    """Whether the contracts' folder is in a git repository that has a commit."""
    folder = next(folder for folder in project.folders("schemas") if folder.is_dir())
    return shutil.which("git") is not None and _git(folder, "rev-parse", "--verify", "--quiet", "HEAD") is not None


def subjects_of(project: FolderProject, name: str) -> Sequence[str]:
    """The subjects of a contract: `<topic>-value` for each topic that a flow reads or writes it on, else its own name."""
    found = set()
    for flow in project.names("flows", ".yaml"):
        spec = check(project, flow).spec
        parts = () if spec is None else (spec.input, spec.result)
        found |= {f"{part.topic}-value" for part in parts if part.contract == name}
    return sorted(found) or [name]


def carries_fingerprint(project: FolderProject, name: str) -> bool:
    """Whether values of a contract may name their schema by fingerprint: some flow has it so, or none has it at all."""
    found = set()
    for flow in project.names("flows", ".yaml"):
        spec = check(project, flow).spec
        parts = () if spec is None else ((spec.input, spec.input.data), (spec.result, ""))
        found |= {
            _FINGERPRINT in (part.encoding, data if part.encoding.startswith("cloudevents") else "")
            for part, data in parts
            if part.contract == name
        }
    return any(found) or not found


def parsed(text: str, others: Mapping[str, str], said: str) -> Contract:
    """A contract in a text, which may name others.

    Raises:
        FailedError: it is none.
    """
    try:
        json.loads(text)
        return Contract.of_text(text, others)
    except ValueError as error:
        raise FailedError(f"{said} is no Avro schema of a record: {error}") from error


class _Texts(Mapping[str, str]):
    """Schemas by name, read when they are needed."""

    def text(self, name: str) -> str | None:
        """The schema; None if there is none."""
        raise NotImplementedError

    def __getitem__(self, name: str) -> str:
        found = self.text(name)
        if found is None:
            raise KeyError(name)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 1  # nobody has counted


class _Files(_Texts):
    """Those of a project, as they are."""

    def __init__(self, project: FolderProject) -> None:
        self._project = project

    def text(self, name: str) -> str | None:
        file = self._project.read("schemas", f"{name}.avsc")
        return None if file is None else file.text


class _Commit(_Texts):
    """Those of a folder, as they were in a commit."""

    def __init__(self, folder: Path, commit: str) -> None:
        self._folder, self._commit = folder, commit

    def text(self, name: str) -> str | None:
        return _git(self._folder, "show", f"{self._commit}:./{name}.avsc")


def _git(folder: Path, *arguments: str) -> str | None:
    """What git says; None if it fails.

    Raises:
        UsageError: there is no git.
    """
    program = shutil.which("git")
    if program is None:
        raise UsageError("there is no git on this machine", "Compare with `kept` or `registry` instead.")
    done = subprocess.run([program, "-C", str(folder), *arguments], capture_output=True, check=False)
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else None
