"""A bundle: one version of a flow with every file that it names, so that rows in flight end under the version that they began with.

Bundles stand on the control topic (compacted): key `flow/<name>/<version>`; the record under `flow/<name>` says which version is applied.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Self

import pydantic

from processors.flow.check import check
from processors.flow.project import Project
from processors.flow.spec import FlowFile
from processors.flow.yaml import parse
from schemas.errors import FlowError

CONTROL_TOPIC = "weft.control"
MAX_BYTES = 900_000
"""A bundle is one record."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """One version of a flow."""

    flow: str
    version: str
    files: Mapping[str, str]  # by `<kind>/<name>`; contracts with the names that they refer to written out

    def encode(self) -> bytes:
        """The same bytes for the same files."""
        told = {"format": 1, "flow": self.flow, "version": self.version, "files": dict(self.files)}
        return json.dumps(told, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()

    @classmethod
    def decode(cls, value: bytes) -> Self:
        """Read one.

        Raises:
            FlowError: it is none, or of a format that this Weft does not know.
        """
        try:
            told = json.loads(value)
            if told["format"] != 1:
                raise FlowError(f"this bundle is of format {told['format']}", "Use the version of Weft that applied it, or a later one.")
            return cls(str(told["flow"]), str(told["version"]), {str(path): str(text) for path, text in told["files"].items()})
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise FlowError("this is no bundle of a flow", "Apply the flow again with `weft flow apply`.") from error

    def declared(self) -> FlowFile:
        """What the flow file says of topics and limits. Its steps are not looked at: it may be of a Weft that knew others.

        Raises:
            FlowError: it can't be read.
        """
        try:
            return FlowFile.model_validate(parse(f"flows/{self.flow}.yaml", self.files[f"flows/{self.flow}.yaml"]).data)
        except (KeyError, pydantic.ValidationError) as error:
            sentence = f"the flow file of {self.flow}@{self.version} can't be read"
            raise FlowError(sentence, "Use the version of Weft that applied it.") from error

    @property
    def digest(self) -> str:
        """SHA-256 of the bytes, hex."""
        return hashlib.sha256(self.encode()).hexdigest()

    @property
    def key(self) -> bytes:
        """Its key on the control topic."""
        return f"flow/{self.flow}/{self.version}".encode()


def bundle(project: Project, name: str) -> Bundle:
    """The flow of that name and all that it names.

    Raises:
        FlowError: it has mistakes, or is too large for a record.
    """
    checked = check(project, name)
    spec = checked.sound()
    made = Bundle(spec.flow, spec.version, checked.files)
    if len(made.encode()) > MAX_BYTES:
        largest = max(made.files, key=lambda path: len(made.files[path]))
        sentence = f"{name} and the files that it names have {len(made.encode()):,} bytes; {MAX_BYTES:,} fit into a record"
        raise FlowError(sentence, f"The largest is {largest}.")
    return made


def applied_key(name: str) -> bytes:
    """Under which the control topic says which version of a flow is applied."""
    return f"flow/{name}".encode()


@dataclass(slots=True)
class Applied:
    """What the control topic says of flows; feed it every record in order."""

    current: dict[str, str] = field(default_factory=dict)  # flow -> version
    bundles: dict[str, dict[str, bytes]] = field(default_factory=dict)  # flow -> version -> bundle

    def read(self, records: Iterable[tuple[bytes | None, bytes | None]]) -> Self:
        """Take in keys and values; those that are not about flows are passed over."""
        for key, value in records:
            parts = (key or b"").decode(errors="replace").split("/")
            if parts[0] != "flow" or len(parts) not in (2, 3):
                continue
            versions = self.bundles.setdefault(parts[1], {})
            if len(parts) == 2:
                self._point(parts[1], value)
            elif value is None:
                versions.pop(parts[2], None)
            else:
                versions[parts[2]] = value
        return self

    def versions(self, name: str) -> list[bytes]:
        """All bundles of a flow, the applied one first; none if it was never applied."""
        versions, current = self.bundles.get(name, {}), self.current.get(name)
        first = [versions[current]] if current in versions else []
        return first + [value for version, value in versions.items() if version != current]

    def _point(self, name: str, value: bytes | None) -> None:
        if value is None:
            self.current.pop(name, None)
        else:
            self.current[name] = value.decode(errors="replace")
