"""What of a flow's files means the same in another form, so that applying a version again, also by a later Weft, is no other content."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from processors.flow.bundle import Bundle, bundle
from processors.flow.meaning import differing, same
from processors.flow.project import FolderProject
from tests.models import trained
from tests.unit.flow_project import MANIFEST

RECORDED = Path(__file__).parent / "recorded"
RULES = "# one\nrules:\n  - name: origin\n    column: origin\n    in_set: [EWR, JFK]\n"
CONTRACT = """\
{"type": "record", "namespace": "a", "name": "T", "doc": "a thing", "fields": [
  {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}, "default": 0, "aliases": ["then"]},
  {"name": "kind", "type": {"type": "enum", "name": "Kind", "symbols": ["x", "y"], "default": "x"}, "default": "x"},
  {"name": "more", "type": {"type": "record", "name": "More", "fields": [{"name": "doc", "type": "int"}]}, "default": {"doc": 1}}]}
"""


@pytest.mark.parametrize("file", sorted(RECORDED.glob("*.json")), ids=lambda file: file.stem)
def test_what_an_earlier_weft_stored_of_a_shipped_flow_is_what_this_one_would_store(file: Path) -> None:
    """A shipped flow that means something else has another version; then record that one too, and leave this file as it is."""
    stored = Bundle.decode(file.read_bytes())
    trained()
    now = bundle(FolderProject(), stored.flow)
    if now.version == stored.version:
        models = {path: text for path, text in stored.files.items() if path.startswith("models/")}  # trained on this machine
        assert differing(stored.files, {**now.files, **models}) == []


@pytest.mark.parametrize(
    ("path", "text", "change"),
    [
        ("rules/r.yaml", RULES, ("# one", "# two\n\n")),
        ("rules/r.yaml", RULES, ("[EWR, JFK]", '["EWR", JFK]')),
        ("rules/r.yaml", RULES, ("    column: origin\n    in_set: [EWR, JFK]", "    in_set: [EWR, JFK]\n    column: origin")),
        ("references/r.json", '{"rows": 1, "columns": {}}', ('"rows": 1, "columns": {}', '"columns":{},\n"rows":1')),
        ("schemas/a.T.avsc", CONTRACT, ('"a thing"', '"another word for it"')),
        ("schemas/a.T.avsc", CONTRACT, ('"namespace": "a", "name": "T"', '"name": "a.T"')),
        ("schemas/a.T.avsc", CONTRACT, ('"type": "int"', '"type": {"type": "int"}')),
        ("schemas/registry/7.avsc", CONTRACT, ('"name": "at", ', '"order": "ignore", "name": "at", ')),
        ("models/late/manifest.json", MANIFEST, ('"version": "1.0.0"', '"version": "1.0.0", "groups": [], "format": 1')),
    ],
)
def test_another_form_is_the_same_content(path: str, text: str, change: tuple[str, str]) -> None:
    assert change[0] in text
    assert same(path, text, text.replace(*change))


@pytest.mark.parametrize(
    ("path", "text", "change"),
    [
        ("rules/r.yaml", RULES, ("[EWR, JFK]", "[JFK, EWR]")),
        ("rules/r.yaml", RULES, ("name: origin", "name: 1")),
        ("flows/f.yaml", "limit: 1", ("1", "true")),
        ("flows/f.yaml", "limit: 1", ("1", "1.0")),
        ("flows/f.yaml", "limit: 1", ("limit: 1", "limit: 1\nlimit: 2")),
        ("schemas/a.T.avsc", CONTRACT, ("timestamp-millis", "timestamp-micros")),
        ("schemas/a.T.avsc", CONTRACT, ('"default": 0', '"default": 1')),
        ("schemas/a.T.avsc", CONTRACT, ('"default": {"doc": 1}', '"default": {"doc": 2}')),
        ("schemas/a.T.avsc", CONTRACT, (', "aliases": ["then"]', "")),
        ("schemas/a.T.avsc", CONTRACT, ('["x", "y"]', '["y", "x"]')),
        ("schemas/a.T.avsc", CONTRACT, (', "default": "x"}, "default": "x"', '}, "default": "x"')),
        ("schemas/a.T.avsc", CONTRACT, ('"name": "T"', "")),
        ("models/late/manifest.json", MANIFEST, ("0" * 64, "1" * 64)),
        ("models/late/manifest.json", MANIFEST, ("true", "false")),
        ("models/late/manifest.json", MANIFEST, ('"null": 0.0', '"null": 1.0')),
    ],
)
def test_what_something_depends_on_is_another_content(path: str, text: str, change: tuple[str, str]) -> None:
    assert change[0] in text
    assert not same(path, text, text.replace(*change))


def test_a_file_more_or_less_is_another_content_but_for_ids_of_writers_that_came_later() -> None:
    before = {"flows/f.yaml": "limit: 1"}
    assert differing(before, {**before, "rules/r.yaml": RULES}) == ["rules/r.yaml"]
    assert differing({**before, "rules/r.yaml": RULES}, before) == ["rules/r.yaml"]
    assert differing(before, {**before, "schemas/registry/7.avsc": CONTRACT}) == []
    assert differing({**before, "schemas/registry/7.avsc": CONTRACT}, before) == ["schemas/registry/7.avsc"]


def test_a_contract_has_the_same_text_in_every_process() -> None:
    program = "from schemas.contracts import built_in; print([one.text for one in built_in().values()])"
    told = {
        subprocess.run([sys.executable, "-c", program], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True).stdout
        for seed in ("0", "1", "2")
    }
    assert len(told) == 1
