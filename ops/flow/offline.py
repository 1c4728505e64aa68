"""Runs a flow on sample events in this process: no Kafka, no Redis, no model server."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from connectors.memory.lookup import MemoryLookup
from ops.flow.events import Sample, intake
from processors.flow.compiled import Flow
from processors.flow.plan import Parts
from processors.flow.project import FolderProject
from processors.flow.spec import FlowFile
from processors.ports import Answer, Models
from processors.step import DEGRADED, MODEL, RULE, Batch, Intake, State
from schemas.errors import UnreachableError, UsageError
from schemas.vocabulary import Reason, Verdict
from streams.stepping import Fate, Gate, StateKey, travel

SHOWN = ("decision", "score", MODEL, DEGRADED)
"""Columns that the report shows beside the verdict, where the flow gives them."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What became of one sample."""

    line: int
    id: str
    verdict: Verdict
    reason: Reason
    rule: str
    step: str
    sentence: str
    columns: Mapping[str, Any]  # behind the step that it left at

    def as_json(self) -> dict[str, Any]:
        """As a line of JSON; what is empty is left out."""
        told = {"line": self.line, "id": self.id, "verdict": self.verdict.value, "reason": self.reason.value, "rule": self.rule}
        told |= {"step": self.step, "sentence": self.sentence} | {name: self.columns.get(name) for name in SHOWN}
        return {name: value for name, value in told.items() if value not in ("", None)}


@dataclass(frozen=True, slots=True)
class FixedScore:
    """Every model answers with this number."""

    score: float

    async def infer(self, model: str, route: str, columns: pa.RecordBatch, keys: Sequence[bytes | None], timeout_s: float) -> Answer:
        """As the port says; the one output is called `score`."""
        del route, keys, timeout_s
        return Answer(pa.record_batch({"score": pa.repeat(pa.scalar(self.score), columns.num_rows)}), f"{model}@fixed")


class _States:
    """The states of one run, which begin empty."""

    def __init__(self) -> None:
        self._states: dict[StateKey, State] = {}

    def get(self, key: StateKey) -> State:
        """A step's state."""
        return self._states.get(key, {})

    def put(self, key: StateKey, state: State) -> None:
        """What the batch made of it."""
        self._states[key] = state


def parts(project: FolderProject, models: Models, entries: Mapping[str, bytes]) -> Parts:
    """In-memory twins of the ports."""
    return Parts(MemoryLookup(entries.items()), models, time.monotonic, project)


def read_lookup(path: Path) -> Mapping[str, bytes]:
    """The lookup's objects from a JSON file: key -> object.

    Raises:
        UsageError: it is none.
    """
    try:
        found = orjson.loads(path.read_bytes())
    except OSError as error:
        raise UsageError(f"{path} can't be read: {error.strerror}") from error
    except orjson.JSONDecodeError as error:
        raise UsageError(f"{path} is no JSON: {error}", "It must be one object: key -> object.") from error
    if not isinstance(found, dict):
        raise UsageError(f"{path} must be one JSON object: key -> object")
    return {key: orjson.dumps(value) for key, value in found.items()}


async def judge(flow: Flow, spec: FlowFile, samples: Sequence[Sample]) -> Sequence[Judged]:
    """Run all samples as one batch, and encode what goes through; in the order of the file.

    Raises:
        UnreachableError: a port that the flow waits for does not answer.
    """
    taken = intake(samples, spec, time.time_ns() // 1_000_000)
    rows = np.arange(len(samples), dtype=np.int64)
    start = Batch(pa.RecordBatch.from_struct_array(pa.array([{}] * len(rows), pa.struct([]))), rows, taken)
    journey = await travel(flow, start, 0, _States(), Gate(), _refuse)
    found = [judged for fate in journey.fates for judged in _judged(flow, fate, taken, samples)]
    return sorted(found, key=lambda judged: judged.line)


async def _refuse(step: str, error: UnreachableError) -> None:
    raise UnreachableError(f"step {step} waits: {error.sentence}", error.hint) from error


def _judged(flow: Flow, fate: Fate, taken: Intake, samples: Sequence[Sample]) -> list[Judged]:
    rows = fate.batch.columns.to_pylist() if fate.batch.columns.num_columns else [{}] * len(fate.batch)
    step = flow.steps[fate.step].name if fate.step < len(flow.steps) else ""
    found = []
    for index, columns in enumerate(rows):
        origin = int(fate.batch.origin[index])
        verdict, reason, sentence = fate.verdict, fate.reason, fate.why(index)
        if verdict is Verdict.RESULT and (wrong := _unfit(flow, fate.batch, index)):
            verdict, reason, sentence = Verdict.DEAD_LETTER, Reason.ENCODE_FAILED, wrong
        named = columns.get(flow.id_column) if flow.id_column else None
        rule = fate.rule or (columns.get(RULE) or "" if verdict is Verdict.RESULT else "")
        id_ = str(taken.trip(origin).root) if named is None else str(named)
        found.append(Judged(samples[origin].line, id_, verdict, reason, rule, step, sentence, columns))
    return found


def _unfit(flow: Flow, batch: Batch, index: int) -> str:
    """Why the row is no record of the result's contract; empty if it is one."""
    try:
        flow.result.encode(batch.columns.slice(index, 1))
    except ValueError as error:
        return str(error)
    return ""
