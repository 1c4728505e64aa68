"""The JSON Schemas that editors complete flow files with; made from the models and the steps' specs."""

import json
from collections.abc import Mapping
from typing import Any

import pydantic

from processors.drift.reference import Reference
from processors.flow import duration
from processors.flow.project import Project
from processors.flow.spec import FlowFile
from processors.flow.words import sentence, words
from processors.policies.model import Policy
from processors.rules.model import Rules
from schemas.errors import FlowError
from schemas.manifest import Manifest

DIALECT = "https://json-schema.org/draft/2020-12/schema"

FILES: Mapping[str, type[pydantic.BaseModel]] = {"rules": Rules, "policy": Policy, "reference": Reference, "manifest": Manifest}
"""The files that flows name, and what stands in them."""


def flow_schema(project: Project | None = None) -> dict[str, Any]:
    """The schema of a flow file, with every step that there is, also those of the project's plugins; without those that can't be loaded."""
    schema = FlowFile.model_json_schema(by_alias=True)
    definitions: dict[str, Any] = schema.setdefault("$defs", {})
    steps = []
    for word, step in words(project).items():
        try:
            spec = _own_names(step.Spec.model_json_schema(by_alias=True), word, definitions)
        except FlowError:
            continue
        steps.append(
            {
                "type": "object",
                "description": sentence(step),
                "properties": {word: spec},
                "required": [word],
                "additionalProperties": False,
            }
        )
    schema["properties"]["steps"]["items"] = {"oneOf": steps} if steps else {"type": "object"}
    return {"$schema": DIALECT, **_bare(schema)}


def schemas(project: Project | None = None) -> Mapping[str, dict[str, Any]]:
    """Every published schema by its file's name."""
    files = {f"{name}.schema.json": {"$schema": DIALECT, **_bare(model.model_json_schema(by_alias=True))} for name, model in FILES.items()}
    return {"flow.schema.json": flow_schema(project), **files}


def text(schema: Mapping[str, Any]) -> str:
    """As it stands in a file."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _bare(schema: Any) -> Any:
    """Without the titles that pydantic makes of names, and with durations by default as people write them."""
    if isinstance(schema, list):
        return [_bare(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    told = {key: _bare(value) for key, value in schema.items() if not (key == "title" and isinstance(value, str))}
    default = told.get("default")
    if isinstance(default, dict) and "type" not in default:
        del told["default"]  # its parts say their own
    elif isinstance(default, float) and told.get("pattern") == duration.PATTERN:
        told["default"] = duration.text(default)
    elif isinstance(default, list) and told.get("items", {}).get("pattern") == duration.PATTERN:
        told["default"] = [duration.text(part) for part in default]
    return told


def _own_names(spec: dict[str, Any], word: str, definitions: dict[str, Any]) -> dict[str, Any]:
    """A step's schema with its definitions moved to the flow's, under names of its own."""
    own: Mapping[str, Any] = spec.pop("$defs", {})

    def renamed(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: _moved(part, word) if key == "$ref" else renamed(part) for key, part in value.items()}
        return [renamed(part) for part in value] if isinstance(value, list) else value

    definitions.update({f"{word}.{name}": renamed(definition) for name, definition in own.items()})
    moved: dict[str, Any] = renamed(spec)
    return moved


def _moved(reference: str, word: str) -> str:
    return reference.replace("#/$defs/", f"#/$defs/{word}.")
