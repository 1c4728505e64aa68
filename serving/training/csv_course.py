"""The course of a first model of somebody's own: the numbers of a CSV file, judged by rows that it has not seen."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self

import lightgbm
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, train_test_split

from schemas.errors import FailedError
from schemas.manifest import Approval, Input, Manifest, Training
from serving.training import measures
from serving.training.course import Judged
from serving.training.digest import digest
from serving.training.learners import Learner, Learnt, Matrix, Scores, boosted
from serving.training.train import teach

LEAST_ROWS = 60
LEAST_OF_A_KIND = 15
LEAST_AUC = 0.6
HELD_OUT = 0.25
_SEED = 7
_FOLDS = 5
_TUNED_ROWS = 40_000  # so many are enough to choose a threshold by
_LOW_BITS = np.uint32(0xFFFFFF00)
_TOO_GOOD = 0.99  # AUC of one column alone
_NEAR = 0.03  # the share of events that is near enough to the border to be asked about

Label = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Lesson:
    """What there is to learn."""

    name: str  # the model's
    source: str  # where the rows come from, for the card
    numbers: pa.Table  # (n,) columns of doubles with nulls
    label: Label  # (n,) of 0 and 1
    asked: str  # what the score is the probability of
    accept_weak: bool  # also a model that knows little may serve


@dataclass(frozen=True, slots=True)
class Border:
    """Where yes begins, and how near to it a person is asked."""

    threshold: float
    half: float

    @classmethod
    def of(cls, label: Label, score: Scores) -> Self:
        """The threshold with the highest F1: it suits rare and frequent answers alike."""
        order = np.argsort(-score, kind="stable")
        hits, ranks = np.cumsum(label[order]), np.arange(1, len(label) + 1)
        last = np.append(np.diff(score[order]) != 0, True)  # of equal scores only the last can be a border
        f1 = np.where(last, 2 * hits / (ranks + label.sum()), 0.0)
        best = int(np.argmax(f1))
        below = score[order][min(best + 1, len(score) - 1)]
        threshold = round(float(np.clip((score[order][best] + below) / 2, 0.02, 0.98)), 3)
        half = float(np.quantile(np.abs(score - threshold), _NEAR))
        return cls(threshold, round(float(np.clip(half, 0.002, min(threshold, 1 - threshold) / 2)), 3))


class CsvCourse:
    """Rows of a file of somebody's own."""

    def __init__(self, lesson: Lesson) -> None:
        """Divide the rows.

        Raises:
            FailedError: there are too few, of one kind or in all.
        """
        self.lesson, self.label = lesson, lesson.label
        few = int(min(self.label.sum(), len(self.label) - self.label.sum()))
        if len(self.label) < LEAST_ROWS or few < LEAST_OF_A_KIND:
            sentence = f"{len(self.label)} rows, {few} of them of the rarer kind, are too few to learn from"
            raise FailedError(sentence, f"{LEAST_ROWS} rows with {LEAST_OF_A_KIND} of each kind are the least.")
        self.known = np.zeros(len(self.label), np.bool_)
        self.known[train_test_split(np.arange(len(self.label)), test_size=HELD_OUT, random_state=_SEED, stratify=self.label)[0]] = True
        self.border = Border(0.5, 0.0)
        seen = digest(lesson.numbers.filter(pa.array(self.known)))
        self.training = Training(data=lesson.source, rows=int(self.known.sum()), sha256=seen, seed=_SEED)

    def matrix(self, inputs: tuple[Input, ...]) -> Matrix:
        """As the course says."""
        return np.column_stack([np.asarray(self.lesson.numbers[one.name].to_numpy(), np.float32) for one in inputs])

    def judged(self, learner: Learner, score: Scores) -> Judged:
        """By the rows that were held out; the border comes from the others, each scored by a model that has not seen it."""
        self.border = self._border(learner)
        held = measures.group("held out", self.label[~self.known], score[~self.known], self.border.threshold)
        why = f"AUC {held.auc:.3f} on {held.rows:,} held-out rows, {LEAST_AUC} or more is asked"
        good = held.auc >= LEAST_AUC or self.lesson.accept_weak
        return Judged(Approval(approved=good, by="weft init", why=why), groups=(held,))

    def card(self, manifest: Manifest, learner: Learner) -> str:
        """As the course says."""
        return _card(manifest, self, learner)

    def _border(self, learner: Learner) -> Border:
        rows = np.flatnonzero(self.known)
        rows = rows if len(rows) <= _TUNED_ROWS else np.sort(np.random.default_rng(_SEED).choice(rows, _TUNED_ROWS, replace=False))
        matrix, label = self.matrix(learner.inputs)[rows], self.label[rows]
        score = np.empty(len(label))
        for seen, unseen in StratifiedKFold(_FOLDS, shuffle=True, random_state=_SEED).split(matrix, label):
            score[unseen] = learner.learn(matrix[seen], label[seen]).score(matrix[unseen])
        return Border.of(label, score)


def train_csv(lesson: Lesson, into: Path, progress: Callable[[str], None]) -> tuple[Manifest, Border]:
    """Train, measure, and write `<into>/<name>/`.

    Raises:
        FailedError: there are too few rows, or the columns do not tell the answer.
    """
    course = CsvCourse(lesson)
    inputs = tuple(Input.model_validate({"name": name, "datatype": "FP64", "null": "nan"}) for name in lesson.numbers.column_names)
    many = len(lesson.label) >= 5_000
    trees, leaves = (120, 15) if many else (60, 7)
    learner = Learner(
        name=lesson.name, version="1.0.0", inputs=inputs, learn=partial(_learn, trees, leaves),
        kind=f"gradient-boosted trees (LightGBM, {trees} trees of {leaves} leaves)", why="a first model, made by `weft init`",
    )  # fmt: skip
    manifest = teach(learner, course, into / lesson.name, progress)
    if not manifest.approval.approved:
        hint = "Is there a column that knows more? To go on all the same, add --accept-weak-model."
        raise FailedError(f"the columns hardly tell {lesson.asked}: {manifest.approval.why}", hint)
    return manifest, course.border


def suspects(lesson: Lesson) -> list[str]:
    """Inputs that alone tell the answer: they may not be known yet when the event comes."""
    found = []
    for name in lesson.numbers.column_names:
        values = np.nan_to_num(np.asarray(lesson.numbers[name].to_numpy(), np.float64), nan=-1e300)
        auc = float(roc_auc_score(lesson.label, values))
        if max(auc, 1 - auc) > _TOO_GOOD:
            found.append(name)
    return found


def _learn(trees: int, leaves: int, matrix: Matrix, label: Label) -> Learnt:
    # thresholds halfway between such values are single floats too: so the ONNX model takes every row the way that the trained one does
    coarse = (np.ascontiguousarray(matrix).view(np.uint32) & _LOW_BITS).view(np.float32)
    model: Any = lightgbm.LGBMClassifier(
        n_estimators=trees, learning_rate=0.08, num_leaves=leaves, min_child_samples=max(5, min(50, len(label) // 40)), random_state=_SEED,
        n_jobs=1, deterministic=True, force_row_wise=True, verbose=-1,
    )  # fmt: skip
    return boosted(model, coarse, label)


def _card(manifest: Manifest, course: CsvCourse, learner: Learner) -> str:
    """Markdown."""
    held, border, training = manifest.groups[0], course.border, course.training
    lines = [
        f"# {manifest.ident}",
        "",
        f"Probability of {course.lesson.asked}. {learner.kind[0].upper()}{learner.kind[1:]}; {learner.why}.",
        "",
        "## Data",
        "",
        f"{training.data}. Trained on {training.rows:,} rows, seed {training.seed}.",
        "",
        f"SHA-256 of the training table: `{training.sha256}`.",
        "",
        "| input | datatype | null becomes |",
        "|---|---|---|",
        *(f"| `{one.name}` | {one.datatype} | {one.null} |" for one in manifest.inputs),
        "",
        "## Figures",
        "",
        f"On {held.rows:,} rows that it has not seen. AUC: higher is better; Brier and calibration error: lower is better.",
        "",
        "| rows | yes | mean score | AUC | Brier | calibration error |",
        "|---|---|---|---|---|---|",
        f"| {held.rows:,} | {held.positive:.3f} | {held.predicted:.3f} | {held.auc:.3f} | {held.brier:.4f} | {held.calibration:.4f} |",
        "",
        f"The flow says yes from {border.threshold:g} on. There F1 is highest, on the rows that it was trained on, each scored by a model",
        f"that had not seen it. Of the held-out rows {1 - held.below:.3f} are yes then; of the true yes {held.sensitivity:.3f} are found,",
        f"of the true no {held.specificity:.3f} are left alone.",
        "",
        "## Approval",
        "",
        f"{'Approved' if manifest.approval.approved else 'Not approved'} by {manifest.approval.by}: {manifest.approval.why}.",
        "",
        "## Limits",
        "",
        *_limits(course.lesson.numbers.column_names),
    ]
    return "\n".join(lines) + "\n"


def _limits(inputs: Sequence[str]) -> list[str]:
    return [
        "* It was made without a person who knows the data. Look at each input: is it known when the event comes, and may it be used?",
        "* It knows only what such rows held when the file was written. Watch the drift, and train it again.",
        f"* It takes: {', '.join(inputs)}. Nobody has looked whether it treats groups of people alike.",
    ]
