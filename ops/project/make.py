"""Makes a project folder: all of it is written aside, checked and tried, and then put in its place, or nothing is."""

import asyncio
import base64
import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from ops.flow.csv_file import events, read_csv
from ops.flow.trial import Trial, run_trial
from ops.project import texts
from ops.project.design import Design, design
from ops.project.example import TARGET, write_example
from processors.drift.reference import Reference, describe
from processors.flow.project import FolderProject
from schemas.contracts import Contract
from schemas.errors import FailedError, UsageError
from schemas.manifest import Manifest
from serving.training.csv_course import Border, suspects, train_csv

SAMPLES = 12
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Asked:
    """What `weft init` was asked for. Without a CSV file the example's is taken."""

    name: str
    parent: Path  # the folder is made in it
    csv: Path | None = None
    target: str = TARGET
    positive: str | None = None
    rename: bool = False
    accept_weak: bool = False
    forms: Mapping[str, str] = field(default_factory=dict)  # of columns, where they can't be seen


@dataclass(frozen=True, slots=True)
class Made:
    """What was made."""

    folder: Path
    design: Design
    manifest: Manifest
    border: Border
    suspects: Sequence[str]
    verdicts: Mapping[str, int]  # of the samples

    def as_json(self) -> dict[str, Any]:
        """As plain values."""
        held, question = self.manifest.groups[0], self.design.question
        columns = [
            {
                "column": column.name,
                "header": column.header,
                "type": column.kind,
                "form": column.seen.form,
                "doubt": column.seen.doubt,
                "say": column.seen.say,
                "null": column.nullable,
                "is": column.role,
                "why": column.why,
            }
            for column in self.design.columns
        ]
        model = {"auc": held.auc, "brier": held.brier, "held_out": held.rows, "rows": len(self.design.label), "yes": held.positive}
        return {
            "project": self.design.name,
            "folder": str(self.folder),
            "columns": columns,
            "repeated_ids": None if (twice := self.design.repeated) is None else asdict(twice),
            "target": {"column": question.target, "positive": question.positive, "rows_without": question.left_out},
            "model": model | {"threshold": self.border.threshold, "suspects": list(self.suspects)},
            "samples": dict(self.verdicts),
        }


def make(asked: Asked, progress: Progress) -> Made:
    """Make it.

    Raises:
        UsageError: the folder is there, or the CSV file does not do.
        FailedError: there is too little to learn.
    """
    folder = asked.parent / asked.name
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is there already", "Choose another name, or move it away.")
    aside = Path(tempfile.mkdtemp(prefix=f".{asked.name}-", dir=asked.parent))
    try:
        made = _made(asked, aside, progress)
        aside.chmod(0o755)
        if folder.exists():
            folder.rmdir()
        aside.rename(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return Made(folder, *made)


def _made(asked: Asked, at: Path, progress: Progress) -> tuple[Design, Manifest, Border, Sequence[str], Mapping[str, int]]:
    progress("reading the rows")
    file = asked.csv
    if file is None:
        file = at / "data" / f"{asked.name}.csv"
        file.parent.mkdir()
        write_example(file)
    wanted = design(asked.name, read_csv(file), asked.target, asked.positive, asked.rename, asked.forms)
    source = f"{file.name} ({len(wanted.label):,} rows, SHA-256 {hashlib.sha256(file.read_bytes()).hexdigest()[:16]}...)"
    lesson = wanted.lesson(source, asked.accept_weak)
    manifest, border = train_csv(lesson, at / "models", progress)
    progress("writing the project")
    for path, text in _files(wanted, border, source, manifest).items():
        (at / path).parent.mkdir(parents=True, exist_ok=True)
        (at / path).write_text(text, "utf-8")
    progress("trying the flow")
    return wanted, manifest, border, suspects(lesson), _tried(at, asked.name)


def _files(wanted: Design, border: Border, source: str, manifest: Manifest) -> Mapping[str, str]:
    """Every file but the model's, by its path."""
    name = wanted.name
    held = manifest.groups[0]
    figures = f"The model: AUC {held.auc:.3f} on {held.rows:,} rows that it has not seen; it says yes from {border.threshold:g} on."
    files = {
        f"flows/{name}.yaml": texts.flow(wanted, border),
        f"flows/samples/{name}.ndjson": _samples(wanted),
        f"schemas/{wanted.event}.avsc": _pretty(wanted.event_schema()),
        f"schemas/{wanted.decision}.avsc": _pretty(wanted.decision_schema()),
        f"rules/{name}.yaml": texts.rules(wanted),
        f"policies/{name}.yaml": texts.policy(border),
        f"suites/{name}.json": texts.suite(wanted),
        f"sinks/{name}.yaml": texts.sink(wanted),
        "plugins/steps/codes.py": (texts.TEMPLATE / "codes.py").read_text("utf-8"),
        "plugins/sinks/sqlite.py": (texts.TEMPLATE / "sqlite.py").read_text("utf-8"),
        "weft.toml": texts.TOML,
        ".gitignore": texts.IGNORE,
        "README.md": texts.readme(wanted, source, figures),
    }
    if drifting := texts.drifting(wanted):
        files[f"references/{name}.json"] = _reference(wanted, drifting)
    return files


def _reference(wanted: Design, names: Sequence[str]) -> str:
    moment = wanted.named("time")
    times = sorted(cell for cell in moment.cells if cell) if moment else []
    said = (times[0], times[-1]) if times else ("", "")
    columns = {column.name: describe(pa.array(column.values, pa.float64())) for column in wanted.columns if column.name in names}
    return Reference(flow=wanted.name, time_from=said[0], time_to=said[1], rows=len(wanted.label), columns=columns).text()


def _samples(wanted: Design) -> str:
    """Rows from all over the file, one with an impossible number, and one that is no JSON."""
    contract = Contract.of(wanted.event_schema())
    every = [event for _, event in events(wanted.rows, contract)]
    picked = [every[at] for at in np.unique(np.linspace(0, len(every) - 1, SAMPLES).astype(int))]
    number = wanted.named("number")
    if number is not None:
        beyond = texts.bounds(number)[1] * 10
        picked.append(dict(picked[0]) | {number.name: int(beyond) if number.kind == "long" else beyond})
    lines = [orjson.dumps(event, option=orjson.OPT_UTC_Z).decode() for event in picked]
    broken = base64.b64encode(lines[0].encode()[:-5]).decode()
    return "\n".join([*lines, json.dumps({"$key": "truncated", "$value": broken})]) + "\n"


def _tried(at: Path, name: str) -> Mapping[str, int]:
    """Run the samples and write down what became of them: the project's test."""
    judged, _ = asyncio.run(run_trial(Trial(FolderProject(at), name, None, None, None, None)))
    counted: dict[str, int] = {}
    lines = []
    for one in judged:
        counted[one.verdict.value] = counted.get(one.verdict.value, 0) + 1
        told = one.as_json()
        lines.append(json.dumps({word: told[word] for word in ("line", "verdict", "reason", "rule", "decision") if word in told}))
    if not counted.get("result") and not counted.get("review"):
        raise FailedError(f"no sample of {name} goes through its flow: {judged[0].sentence}")
    (at / "tests").mkdir()
    (at / "tests" / "expected.ndjson").write_text("\n".join(lines) + "\n", "utf-8")
    return counted


def _pretty(schema: Mapping[str, Any]) -> str:
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
