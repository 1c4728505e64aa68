"""What a model learns from and is judged by: data with labels, the rows that it may see, figures, a card."""

from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from schemas.manifest import Approval, Group, Input, Manifest, Month, Training
from serving.training.learners import Learner, Matrix, Scores


class Judged(NamedTuple):
    """How good a model is, and whether that is enough to serve it."""

    approval: Approval
    metrics: tuple[Month, ...] = ()
    groups: tuple[Group, ...] = ()


class Course(Protocol):
    """One set of data. Reading it may raise FailedError."""

    label: npt.NDArray[np.int64]  # (n,) of 0 and 1
    known: npt.NDArray[np.bool_]  # (n,) the rows that are learnt from
    training: Training

    def matrix(self, inputs: tuple[Input, ...]) -> Matrix:
        """Those columns of every row, (n, columns), null as NaN."""

    def judged(self, learner: Learner, score: Scores) -> Judged:
        """By the scores of every row, (n,)."""

    def card(self, manifest: Manifest, learner: Learner) -> str:
        """Markdown, for people."""
