"""A worker runs what was applied: every version that compiles, each with the models whose manifests it carries."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from processors.flow.bundle import Bundle, applied_key, bundle
from processors.flow.project import FolderProject
from processors.ports import Answer
from schemas.errors import FlowError
from schemas.manifest import Manifest
from serving.catalog import Catalog
from serving.router import Router
from streams.control import Control
from streams.settings import Settings
from streams.slot import Slot
from streams.wiring import Fabric, fabric, flows_of
from tests.models import batch, rows
from tests.unit.flow_project import MANIFEST, small

SECOND = ("version: 1.0.0", "version: 2.0.0")


class Asked:
    """An endpoint that notes which manifests it is asked by."""

    def __init__(self) -> None:
        self.manifests: list[Manifest] = []

    async def infer(self, manifest: Manifest, columns: pa.RecordBatch, timeout_s: float) -> Answer:
        del timeout_s
        self.manifests.append(manifest)
        return Answer(pa.RecordBatch.from_pydict({"score": pa.array([0.5] * columns.num_rows)}), manifest.ident)

    async def ready(self, manifest: Manifest) -> bool:
        return True

    async def close(self) -> None:
        """Nothing is held."""


def parts_of(folder: Path, endpoint: Asked) -> Fabric:
    made = fabric(Slot("small", 0, 1, folder), Settings(project=folder, bootstrap="127.0.0.1:1"))
    return replace(made, models=Router(Catalog(FolderProject(folder)), endpoint))


def applied(*bundles: Bundle) -> Control:
    """What the control topic says after these were applied, the last one last."""
    control, records = Control(), list[tuple[bytes, bytes]]()
    for made in bundles:
        records += [(made.key, made.encode()), (applied_key(made.flow), made.version.encode())]
    for offset, (key, value) in enumerate(records):
        control.hear(0, offset, key, value)
    return control


def broken(made: Bundle) -> Bundle:
    """As a Weft without the step `infer` sees it."""
    return replace(made, files={path: text.replace("- infer:", "- inver:") for path, text in made.files.items()})


async def asked_by(parts: Fabric, control: Control) -> Sequence[str]:
    """Name and version, of every flow version's model call."""
    return [
        f"{flow.ident} {(await step.run(batch(rows(2)), {})).batch.columns.column('model')[0].as_py()}"
        for flow in flows_of(parts, control)[0]
        for step in flow.steps
        if step.name == "infer-late"
    ]


def test_an_old_version_that_does_not_compile_is_left_out_and_said_and_its_retry_topics_are_known(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = broken(bundle(small(tmp_path), "small"))
    second = bundle(small(tmp_path, SECOND, ("[1s, 30s]", "[2s]")), "small")
    with caplog.at_level(logging.WARNING):
        flows, gone = flows_of(parts_of(tmp_path, Asked()), applied(first, second))
    assert [flow.ident for flow in flows] == ["small@2.0.0"]
    assert [topics.retries for topics in gone] == [("small.retry.1s", "small.retry.30s")]
    assert "small@1.0.0 can't be compiled any more" in caplog.text


def test_a_bundle_of_a_later_format_is_left_out_too(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    second = bundle(small(tmp_path, SECOND), "small")
    control = applied(second)
    control.hear(0, 9, b"flow/small/1.0.0", b'{"format": 2}')
    flows, gone = flows_of(parts_of(tmp_path, Asked()), control)
    assert ([flow.ident for flow in flows], list(gone)) == (["small@2.0.0"], [])
    assert "can't be compiled any more" in caplog.text


def test_the_current_version_must_compile(tmp_path: Path) -> None:
    with pytest.raises(FlowError, match="the flow has a mistake"):
        flows_of(parts_of(tmp_path, Asked()), applied(broken(bundle(small(tmp_path), "small"))))


async def test_each_version_asks_for_the_model_that_it_was_applied_with_whatever_was_trained_since(tmp_path: Path) -> None:
    control, manifest = applied(bundle(small(tmp_path), "small")), tmp_path / "models/late/manifest.json"
    endpoint = Asked()
    parts = parts_of(tmp_path, endpoint)
    manifest.write_text(MANIFEST.replace("1.0.0", "1.1.0").replace("0" * 64, "1" * 64))
    assert await asked_by(parts, control) == ["small@1.0.0 late@1.0.0"]
    assert endpoint.manifests[0].sha256 == "0" * 64
    (tmp_path / "flows/small.yaml").write_text((tmp_path / "flows/small.yaml").read_text().replace(*SECOND))
    second = bundle(FolderProject(tmp_path), "small")
    control.hear(0, 2, second.key, second.encode())
    control.hear(0, 3, applied_key("small"), b"2.0.0")
    assert await asked_by(parts, control) == ["small@2.0.0 late@1.1.0", "small@1.0.0 late@1.0.0"]
    assert set(parts.circuits()) == {"late@1.0.0", "late@1.1.0"}
