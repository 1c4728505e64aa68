"""Spoilt files of a flow: a check ends soon, in little memory, with mistakes that have a place, or with none and a flow that compiles."""

import json
import random
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from connectors.memory.lookup import MemoryLookup
from processors.flow.bundle import Bundle, bundle
from processors.flow.check import check
from processors.flow.compile import compile_bundle
from processors.flow.plan import Parts
from processors.flow.project import BUILT_IN, FolderProject
from schemas.contracts import BUILT_IN as SCHEMAS
from schemas.errors import FlowError, WeftError
from serving.catalog import Manifests
from tests.fuzz.mutate import mutated
from tests.fuzz.stream import NoModels

SLOW_S, LARGE_BYTES = 2.0, 256 << 20

MANIFEST = {
    "name": "late", "version": "1.0.0", "sha256": "0" * 64,
    "inputs": [{"name": "dep_delay", "datatype": "FP64", "null": 0.0}], "outputs": [{"name": "score", "datatype": "FP64"}],
    "approval": {"approved": True, "by": "a test", "why": "it is one"},
}  # fmt: skip


def files() -> dict[str, str]:
    """A flow that uses every step, and all that it names."""
    flow = (BUILT_IN["flows"] / "departure-delays.yaml").read_text()
    for old, new in (
        ("flow: departure-delays", "flow: fuzz"), ("arrival-delay-lite", "late"), ("arrival-delay", "late"),
        ("rules: departures", "rules: fuzz"),
        ("reference: departures-january", "reference: fuzz"), ("schema: flights.Departure", "schema: fuzz.Departure"),
        ("  - enrich:   {lookup: \"plane", "  - watch: {suite: fuzz, sample: 0.05}\n  - enrich:   {lookup: \"plane"),
    ):  # fmt: skip
        assert old in flow, old
        flow = flow.replace(old, new)
    avsc = (SCHEMAS / "flights.Departure.avsc").read_text().replace('"namespace": "flights"', '"namespace": "fuzz"')
    shipped = {kind: BUILT_IN[kind] for kind in ("rules", "policies", "suites", "references")}
    return {
        "flows/fuzz.yaml": flow,
        "rules/fuzz.yaml": (shipped["rules"] / "departures.yaml").read_text(),
        "policies/fuzz.yaml": (shipped["policies"] / "departures.yaml").read_text(),
        "suites/fuzz.json": (shipped["suites"] / "departures.json").read_text(),
        "references/fuzz.json": (shipped["references"] / "departures-january.json").read_text(),
        "models/late/manifest.json": json.dumps(MANIFEST),
        "schemas/fuzz.Departure.avsc": avsc,
    }


@dataclass
class Checked:
    """What came of all files."""

    files: int = 0
    seconds: float = 0.0
    slowest_s: float = 0.0
    ends: Counter[tuple[str, str]] = field(default_factory=Counter)  # file, and `mistakes` or `sound`
    wrong: list[str] = field(default_factory=list)


class Files:
    """A project of which one file at a time is spoilt."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._folder, self._chance, self._texts = folder, random.Random(f"files {seed}"), files()
        self.told = Checked()
        for path, text in self._texts.items():
            self._write(path, text)
        checked = check(FolderProject(folder), "fuzz")
        assert not checked.mistakes, checked.mistakes

    def run(self, count: int) -> Checked:
        """Spoil so many."""
        for _ in range(count):
            path = self._chance.choice(["flows/fuzz.yaml", *self._texts])
            self.one(path, mutated(self._chance, path, self._texts[path]))
        return self.told

    def one(self, path: str, text: str) -> None:
        """Check the flow with another text in one of its files."""
        self._write(path, text)
        began, before = time.process_time(), psutil.Process().memory_info().rss
        try:
            fault, end = self._checked()
        except Exception:
            fault, end = traceback.format_exc(limit=-4, chain=False), "raised"
        took = time.process_time() - began
        if took > SLOW_S:
            fault = f"took {took:.1f} s"
        if psutil.Process().memory_info().rss - before > LARGE_BYTES:
            fault = "took much memory"
        if fault:
            self.told.wrong.append(f"{path}: {fault}\n--- {text[:400]!r} ({len(text)} characters)")
        self._write(path, self._texts[path])
        self.told.files += 1
        self.told.seconds += took
        self.told.slowest_s = max(self.told.slowest_s, took)
        self.told.ends[path, end] += 1

    def _checked(self) -> tuple[str, str]:
        """What is wrong with the check, if anything, and how it ended."""
        project = FolderProject(self._folder)
        try:
            Manifests(project).manifest("late")
        except WeftError as error:
            if said := _fault(error.sentence):
                return said, "mistakes"
        try:
            checked = check(project, "fuzz")
        except FlowError as error:
            return _fault(error.sentence), "mistakes"
        for mistake in checked.mistakes:
            if mistake.line < 1 or mistake.column < 1 or not mistake.file or (said := _fault(mistake.sentence)):
                return f"a mistake without place or sense: {mistake} {said}"[:500], "mistakes"
        if checked.mistakes:
            return "", "mistakes"
        return self._compiled(project), "sound"

    def _compiled(self, project: FolderProject) -> str:
        """A flow without mistakes is bundled, and the bundle compiles."""
        try:
            made = bundle(project, "fuzz")
        except FlowError as error:  # too large for a record
            return _fault(error.sentence)
        compile_bundle(Bundle.decode(made.encode()).encode(), Parts(MemoryLookup(), NoModels(), time.monotonic, project))
        return ""

    def _write(self, path: str, text: str) -> None:
        file = self._folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.encode("utf-8", "surrogatepass"))


def _fault(sentence: str) -> str:
    """What is wrong with a sentence for people."""
    if not sentence.strip():
        return "it says nothing"
    return next((f"it says {word!r}: {sentence[:200]}" for word in ("Traceback", "object at 0x", "pydantic") if word in sentence), "")
