"""The AsyncAPI document of a flow is one by AsyncAPI's own schema, and says of each topic what the flow does with it."""

import gzip
import importlib
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from ops.cli.main import run
from ops.flow.asyncapi import _MEDIA
from processors.flow.check import check
from processors.flow.project import FolderProject
from processors.flow.topics import topics_of
from schemas import headers
from schemas.codecs.encodings import encoder
from schemas.contracts import Contract, built_in
from schemas.vocabulary import Exit
from tests.models import trained

SCHEMA = Path(__file__).parents[1] / "schemas" / "asyncapi-3.0.0.json.gz"
FLOWS = ("departure-delays", "loan-decisions")

Said = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def validator() -> Any:
    trained()
    return importlib.import_module("jsonschema").Draft7Validator(json.loads(gzip.decompress(SCHEMA.read_bytes())))


def document(flow: str, capsys: Said) -> dict[str, Any]:
    assert run(["flow", "asyncapi", flow, "--json"]) == Exit.DONE
    return dict(json.loads(capsys.readouterr().out))


@pytest.mark.parametrize("flow", FLOWS)
def test_the_document_is_one_by_asyncapi_s_own_schema(flow: str, validator: Any, capsys: Said) -> None:
    validator.validate(document(flow, capsys))


def test_the_schema_refuses_what_is_none(validator: Any, capsys: Said) -> None:
    made = document("loan-decisions", capsys)
    made["operations"]["receiveInput"]["action"] = "read"
    assert not validator.is_valid(made)
    made = document("loan-decisions", capsys)
    made["components"]["messages"]["result"]["payload"]["schema"]["fields"][0]["name"] = "no name"
    assert not validator.is_valid(made)


@pytest.mark.parametrize("flow", FLOWS)
def test_every_topic_of_the_flow_is_a_channel_and_every_reference_leads_somewhere(flow: str, capsys: Said) -> None:
    made, topics = document(flow, capsys), topics_of(check(FolderProject(), flow).sound())
    every = {name for found in vars_of(topics) for name in (found if isinstance(found, tuple) else (found,))}
    assert {channel["address"] for channel in made["channels"].values()} == every
    for reference in references(made):
        at: Any = made
        for word in reference.removeprefix("#/").split("/"):
            at = at[word]
        assert isinstance(at, dict)


def test_values_are_the_contracts_and_outcomes_promise_their_headers(capsys: Said) -> None:
    messages = document("loan-decisions", capsys)["components"]["messages"]
    for message, name in {"event": "loans.Application", "result": "loans.Decision", "waiting": "weft.Pending"}.items():
        assert Contract.of(messages[message]["payload"]["schema"]).fingerprint == built_in()[name].fingerprint
    assert (messages["event"]["contentType"], messages["waiting"]["contentType"]) == (headers.JSON, headers.AVRO)
    assert {headers.CE_KEY, headers.CE_POSITION, headers.CE_VERDICT} <= set(messages["result"]["headers"]["required"])
    assert "review-expired" in messages["deadLetter"]["headers"]["properties"][headers.CE_REASON]["enum"]


def test_the_media_types_are_those_that_the_encoders_write() -> None:
    contract = built_in()["loans.Decision"]
    for encoding in ("avro-single-object", "json"):
        assert _MEDIA[encoding] == encoder(contract, encoding).content_type


def test_yaml_and_json_say_the_same_and_not_both_at_once(capsys: Said) -> None:
    made = document("loan-decisions", capsys)
    assert run(["flow", "asyncapi", "loan-decisions"]) == Exit.DONE
    assert yaml.safe_load(capsys.readouterr().out) == made
    assert run(["flow", "asyncapi", "loan-decisions", "--yaml", "--json"]) == Exit.USAGE


def vars_of(topics: Any) -> list[Any]:
    return [getattr(topics, name) for name in topics.__dataclass_fields__]


def references(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if "$ref" in value else []
        return own + [found for part in value.values() for found in references(part)]
    return [found for part in value for found in references(part)] if isinstance(value, list) else []
