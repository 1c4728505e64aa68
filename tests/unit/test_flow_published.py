"""The published JSON Schemas and the page about flows say what the code does."""

import importlib
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from ops.flow.pages import filled
from processors.flow.project import BUILT_IN
from processors.flow.published import flow_schema, schemas, text
from tests.unit.flow_project import SMALL

DOCS = Path(__file__).parents[2] / "docs"
FLOW = BUILT_IN["flows"] / "departure-delays.yaml"


def validator(schema: dict[str, Any]) -> Any:
    return importlib.import_module("jsonschema").Draft202012Validator(schema)


def test_the_published_schemas_are_those_of_the_models() -> None:
    found = {path.name: path.read_text("utf-8") for path in (DOCS / "schemas").glob("*.schema.json")}
    assert found == {name: text(schema) for name, schema in schemas().items()}, "run: weft flow schema --into docs/schemas"


def test_the_page_says_what_the_models_say() -> None:
    page = (DOCS / "flows.md").read_text("utf-8")
    assert filled(page) == page, "run: python -m ops.flow.pages docs/flows.md"
    assert FLOW.read_text("utf-8").split("\n", 1)[1] in page


@pytest.mark.parametrize("name", sorted(schemas()))
def test_each_schema_is_a_schema(name: str) -> None:
    schema = schemas()[name]
    validator(schema).check_schema(schema)


def test_the_shipped_files_fit_their_schemas() -> None:
    kinds = {"flow": "flows", "rules": "rules", "policy": "policies"}
    for schema, kind in kinds.items():
        files = list(BUILT_IN[kind].glob("*.yaml"))
        assert files
        for file in files:
            validator(schemas()[f"{schema}.schema.json"]).validate(yaml.safe_load(file.read_text("utf-8")))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("filter: {", "filtr: {"),
        ("reason: cancelled", "reson: cancelled"),
        ("encoding: avro-single-object", "encoding: avro"),
        ("deadline: 15m", "deadline: 15 minutes"),
        ("flow: small", "flow: Small"),
        ("else: ignore", "otherwise: ignore"),
    ],
)
def test_an_editor_would_mark_what_the_checker_refuses(old: str, new: str) -> None:
    assert validator(flow_schema()).is_valid(yaml.safe_load(SMALL))
    assert not validator(flow_schema()).is_valid(yaml.safe_load(SMALL.replace(old, new)))


def test_the_schema_is_json_all_the_way() -> None:
    assert json.loads(text(flow_schema())) == flow_schema()
