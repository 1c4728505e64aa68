"""The schema ids of the Confluent wire format that a project knows: its files `schemas/registry/<id>.avsc`, then the registry it was given.

A registry that is asked for the id of a flow's results is asked when the flow is checked: the answer goes into the bundle as such a file,
so a worker never needs the registry to write.
"""

import json
from collections.abc import Collection, Mapping

from processors.flow.project import FrozenProject, Project, RecordingProject
from schemas.codecs.registry import Found, MemoryRegistry, Registry
from schemas.contracts import Contract
from schemas.errors import FlowError

_FOLDER = "registry/"


def registry_of(project: Project) -> Registry:
    """All ids of the project.

    Raises:
        FlowError: a file is named by no id, or is no Avro schema.
    """
    return _ProjectRegistry(project)


class _ProjectRegistry:
    """A project's files, and who is asked for what they do not have."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._files = _files(project)
        self._behind = registry_of(project.behind) if isinstance(project, FrozenProject) else project.remote

    def schemas(self, ids: Collection[int]) -> Mapping[int, Found]:
        """See Registry."""
        found = self._files.schemas(ids)
        left = [one for one in ids if found[one] is None]
        return {**found, **self._behind.schemas(left)} if left and self._behind is not None else found

    def schema_id(self, contract: Contract, subject: str) -> int | None:
        """See Registry."""
        found = self._files.schema_id(contract, subject)
        if found is None and self._behind is not None:
            found = self._behind.schema_id(contract, subject)
            if found is not None and isinstance(self._project, RecordingProject):
                self._project.files[f"schemas/{_FOLDER}{found}.avsc"] = contract.text
        return found


def _files(project: Project) -> MemoryRegistry:
    found: dict[int, Contract] = {}
    for name in project.names("schemas", ".avsc"):
        file = project.read("schemas", f"{name}.avsc") if name.startswith(_FOLDER) else None
        if file is None:
            continue
        try:
            found[int(name.removeprefix(_FOLDER))] = Contract.of(json.loads(file.text))
        except ValueError as error:
            raise FlowError(f"{file.path}: {error}", "Name the file by the schema's id, e.g. registry/7.avsc.") from error
    return MemoryRegistry(found)
