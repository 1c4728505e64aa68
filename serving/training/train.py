"""Trains a model and writes its folder: model.onnx, manifest.json, card.md. The same data gives the same bytes."""

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnxruntime
import pyarrow as pa

from schemas.errors import FailedError
from schemas.manifest import Approval, Input, Manifest, Tensor, Training
from serving.training import flights, measures
from serving.training.card import card
from serving.training.graph import by_column
from serving.training.learners import SEED, Learner, Matrix, Scores

MONTHS = (1, 2)
_HELD_OUT = 3  # the first month that the model has not seen decides whether it may serve
_LEAST_AUC = 0.9
_MOST_APART = 1e-5  # between the library's scores and ONNX Runtime's
_SCORE = Tensor(name="score", datatype="FP64")


def train(learners: Sequence[Learner], into: Path, progress: Callable[[str], None]) -> list[Manifest]:
    """Train each on January and February, measure every month, and write `<into>/<name>/`.

    Raises:
        FailedError: the data are not here, or the exported model does not say what the trained one says.
    """
    progress("reading the flights")
    table = flights.read()
    made = []
    for learner in learners:
        progress(f"training {learner.name}")
        made.append(_train(learner, table, into / learner.name, progress))
    return made


def matrix(table: pa.Table, inputs: Sequence[Input]) -> Matrix:
    """The inputs' columns as (n, columns) floats, null as NaN."""
    return np.column_stack([np.asarray(table[one.name].cast(pa.float64()).to_numpy(), np.float32) for one in inputs])


def _train(learner: Learner, table: pa.Table, folder: Path, progress: Callable[[str], None]) -> Manifest:
    months, label = np.asarray(table["month"]), flights.late(table)
    rows = matrix(table, learner.inputs)
    known = np.isin(months, MONTHS)
    learnt = learner.learn(rows[known], label[known])
    content = by_column(learnt.onnx, learner.inputs, _SCORE)
    progress(f"measuring {learner.name}")
    score = _scores(content, learner.inputs, rows)
    apart = float(np.abs(score - learnt.score(rows)).max())
    if not apart < _MOST_APART:
        raise FailedError(f"{learner.name} as ONNX differs from what was trained by {apart:.1e}", "look at the converters' versions")
    metrics = measures.by_month(months, label, score)
    auc = next(row.auc for row in metrics if row.month == _HELD_OUT)
    training = Training(
        data=flights.SOURCE, months=MONTHS, rows=int(known.sum()), sha256=flights.digest(table.filter(pa.array(known))), seed=SEED
    )
    manifest = Manifest(
        name=learner.name,
        version=learner.version,
        sha256=hashlib.sha256(content).hexdigest(),
        inputs=learner.inputs,
        outputs=(_SCORE,),
        approval=Approval(
            approved=auc >= _LEAST_AUC, by="weft models train", why=f"AUC {auc:.3f} in month {_HELD_OUT}, {_LEAST_AUC} or more is asked"
        ),
        training=training,
        metrics=metrics,
    )
    _write(folder, manifest, content, card(manifest, training, learner))
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
