"""Trains a model and writes its folder: model.onnx, manifest.json, card.md. The same data gives the same bytes."""

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import onnxruntime

from schemas.errors import FailedError
from schemas.manifest import Input, Manifest, Tensor
from serving.training.course import Course
from serving.training.defaults import Defaults
from serving.training.delays import Delays
from serving.training.graph import by_column
from serving.training.learners import Learner, Matrix, Scores

COURSES: Mapping[str, Callable[[], Course]] = {"flights": Delays, "loans": Defaults}
_MOST_APART = 1e-5  # between the library's scores and ONNX Runtime's
_SCORE = Tensor(name="score", datatype="FP64")

onnxruntime.disable_telemetry_events()  # it would tell its makers who runs what


def train(learners: Sequence[Learner], into: Path, progress: Callable[[str], None]) -> list[Manifest]:
    """Train each on its data, measure it on what it has not seen, and write `<into>/<name>/`.

    Raises:
        FailedError: the data are not here, or the exported model does not say what the trained one says.
    """
    courses: dict[str, Course] = {}
    made = []
    for learner in learners:
        if learner.data not in courses:
            progress(f"reading the {learner.data}")
            courses[learner.data] = COURSES[learner.data]()
        made.append(teach(learner, courses[learner.data], into / learner.name, progress))
    return made


def teach(learner: Learner, course: Course, folder: Path, progress: Callable[[str], None]) -> Manifest:
    """Train one on its data, measure it and write its folder.

    Raises:
        FailedError: the exported model does not say what the trained one says.
    """
    progress(f"training {learner.name}")
    rows = course.matrix(learner.inputs)
    learnt = learner.learn(rows[course.known], course.label[course.known])
    content = by_column(learnt.onnx, learner.inputs, _SCORE)
    progress(f"measuring {learner.name}")
    score = _scores(content, learner.inputs, rows)
    apart = float(np.abs(score - learnt.score(rows)).max())
    if not apart < _MOST_APART:
        raise FailedError(f"{learner.name} as ONNX differs from what was trained by {apart:.1e}", "look at the converters' versions")
    judged = course.judged(learner, score)
    manifest = Manifest(
        name=learner.name,
        version=learner.version,
        sha256=hashlib.sha256(content).hexdigest(),
        inputs=learner.inputs,
        outputs=(_SCORE,),
        approval=judged.approval,
        training=course.training,
        metrics=judged.metrics,
        groups=judged.groups,
    )
    _write(folder, manifest, content, course.card(manifest, learner))
    return manifest


def _scores(content: bytes, inputs: Sequence[Input], rows: Matrix) -> Scores:
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    out = session.run([_SCORE.name], {one.name: rows[:, [at]].astype(np.float64) for at, one in enumerate(inputs)})
    return np.asarray(out[0], np.float64)[:, 0]


def _write(folder: Path, manifest: Manifest, content: bytes, text: str) -> None:
    """The manifest last, each file by rename: a reader never sees a half of one."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {manifest.file: content, "card.md": text.encode(), "manifest.json": manifest.model_dump_json(indent=2).encode() + b"\n"}
    for name, data in files.items():
        part = folder / f".{name}.{os.getpid()}.part"  # two starts may train at once: the same bytes
        part.write_bytes(data)
        os.replace(part, folder / name)
