"""The course of the model about loans that go bad: seven of ten applications, judged by the rest and by sex and age."""

import numpy as np
import pyarrow as pa
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold

from schemas.manifest import Approval, Group, Input, Manifest, Training
from serving.training import loans, measures
from serving.training.course import Judged
from serving.training.digest import digest
from serving.training.learners import LOAN_SEED, Learner, Matrix, Scores
from serving.training.loan_card import card

_THRESHOLD = 0.25  # the flow grants below it; the groups are compared there
_LEAST_AUC = 0.7
_FOLDS = 5
_YOUNG = 25  # years; the age that studies of these data divide at


class Defaults:
    """Applications for a loan, and which of the loans went bad."""

    def __init__(self) -> None:
        self._table = loans.read()
        self.label = np.asarray(self._table["bad"], np.int64)
        self.known = ~loans.held_out(len(self._table))
        seen = digest(self._table.filter(pa.array(self.known)))
        self.training = Training(data=loans.SOURCE, rows=int(self.known.sum()), sha256=seen, seed=LOAN_SEED)

    def matrix(self, inputs: tuple[Input, ...]) -> Matrix:
        """As the course says."""
        return np.column_stack([np.asarray(self._table[one.name].cast(pa.float64()).to_numpy(), np.float32) for one in inputs])

    def judged(self, learner: Learner, score: Scores) -> Judged:
        """By what it has not seen, and by group over everything, out of fold."""
        unseen = ~self.known
        auc = float(roc_auc_score(self.label[unseen], score[unseen]))
        held = measures.group("held out", self.label[unseen], score[unseen], _THRESHOLD)
        why = f"AUC {auc:.3f} on {held.rows} held-out applications, {_LEAST_AUC} or more is asked"
        return Judged(Approval(approved=auc >= _LEAST_AUC, by="weft models train", why=why), groups=(held, *self._groups(learner)))

    def card(self, manifest: Manifest, learner: Learner) -> str:
        """As the course says."""
        return card(manifest, self.training, learner)

    def _groups(self, learner: Learner) -> list[Group]:
        score = self._out_of_fold(learner)
        sex, age = np.asarray(self._table["sex"]), np.asarray(self._table["age"])
        groups = {
            "everybody": np.ones(len(age), np.bool_),
            "women": sex == "female",
            "men": sex == "male",
            f"{_YOUNG} years or younger": age <= _YOUNG,
            f"over {_YOUNG} years": age > _YOUNG,
        }
        return [measures.group(name, self.label[rows], score[rows], _THRESHOLD) for name, rows in groups.items()]

    def _out_of_fold(self, learner: Learner) -> Scores:
        """Each application's score by a model of the same kind that has not seen it."""
        rows, score = self.matrix(learner.inputs), np.empty(len(self.label))
        for seen, unseen in StratifiedKFold(_FOLDS, shuffle=True, random_state=LOAN_SEED).split(rows, self.label):
            score[unseen] = learner.learn(rows[seen], self.label[seen]).score(rows[unseen])
        return score
