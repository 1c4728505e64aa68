"""A project folder for tests of flows: a small flow over the shipped contracts, and a way to change it."""

from pathlib import Path

from processors.flow.project import FolderProject

SMALL = """\
flow: small
version: 1.0.0
input: {topic: flights.departures, schema: flights.Departure, encoding: avro-single-object, id: flight_id, time: scheduled_at}
steps:
  - filter: {when: "departed_at == null", reason: cancelled}
  - infer: {model: late, fallback: [{rule: "dep_delay > 30.0 ? 1.0 : 0.0"}]}
  - decide: {when: "score > 0.8", as: notify, else: ignore}
result: {topic: flights.small, schema: flights.DelayDecision}
limits: {deadline: 15m, retries: [1s, 30s]}
"""

MANIFEST = """\
{"name": "late", "version": "1.0.0", "sha256": "%s",
 "inputs": [{"name": "dep_delay", "datatype": "FP64", "null": 0.0}],
 "outputs": [{"name": "score", "datatype": "FP64"}],
 "approval": {"approved": true, "by": "a test", "why": "it is one"}}
""" % ("0" * 64)


def write(folder: Path, files: dict[str, str]) -> FolderProject:
    """A project with these files, by path."""
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, "utf-8")
    return FolderProject(folder)


def small(folder: Path, *changes: tuple[str, str]) -> FolderProject:
    """A project with the small flow, changed."""
    text = SMALL
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return write(folder, {"flows/small.yaml": text, "models/late/manifest.json": MANIFEST})
