"""The JSON Schemas that editors complete flow files with; made from the models and the steps' specs."""

import json
from collections.abc import Mapping
from typing import Any

import pydantic

from processors.flow.spec import FlowFile
from processors.flow.words import words

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def flow_schema() -> dict[str, Any]:
    """The schema of a flow file, with every step that there is."""
    schema = FlowFile.model_json_schema(by_alias=True)
    definitions: dict[str, Any] = schema.setdefault("$defs", {})
    steps = []
    for word, module in words().items():
        spec = _own_names(module.Spec.model_json_schema(by_alias=True), word, definitions)
        first = (module.__doc__ or "").strip().splitlines()[:1]
        steps.append(
            {
                "type": "object",
                "description": "".join(first),
                "properties": {word: spec},
                "required": [word],
                "additionalProperties": False,
            }
        )
    schema["properties"]["steps"]["items"] = {"oneOf": steps} if steps else {"type": "object"}
    return {"$schema": DIALECT, "title": "Weft flow", **{key: value for key, value in schema.items() if key != "title"}}


def schemas() -> Mapping[str, dict[str, Any]]:
    """Every published schema by its file's name. A step module may publish those of the files that it names, as `FILES`: name -> model."""
    found = {"flow.schema.json": flow_schema()}
    for module in words().values():
        files: Mapping[str, type[pydantic.BaseModel] | pydantic.TypeAdapter[Any]] = getattr(module, "FILES", {})
        for name, model in files.items():
            made = model.json_schema(by_alias=True) if isinstance(model, pydantic.TypeAdapter) else model.model_json_schema(by_alias=True)
            found[f"{name}.schema.json"] = {"$schema": DIALECT, **made}
    return found


def text(schema: Mapping[str, Any]) -> str:
    """As it stands in a file."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


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
