"""The schema ids of the Confluent wire format that a project knows: its files `schemas/registry/<id>.avsc`."""

import json

from processors.flow.project import Project
from schemas.codecs.registry import MemoryRegistry
from schemas.contracts import Contract
from schemas.errors import FlowError

_FOLDER = "registry/"


def registry_of(project: Project) -> MemoryRegistry:
    """All ids of the project.

    Raises:
        FlowError: a file is named by no id, or is no Avro schema.
    """
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
