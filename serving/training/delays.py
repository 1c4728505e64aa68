"""The course of the models about late arrivals: January and February of 2013, judged by every month."""

import numpy as np
import pyarrow as pa

from schemas.manifest import Approval, Input, Manifest, Training
from serving.training import flights, measures
from serving.training.course import Judged
from serving.training.delay_card import card
from serving.training.digest import digest
from serving.training.learners import SEED, Learner, Matrix, Scores

MONTHS = (1, 2)
_HELD_OUT = 3  # the first month that the model has not seen decides whether it may serve
_LEAST_AUC = 0.9


class Delays:
    """Flights that departed and arrived."""

    def __init__(self) -> None:
        self._table = flights.read()
        self._months = np.asarray(self._table["month"])
        self.label = flights.late(self._table)
        self.known = np.isin(self._months, MONTHS)
        seen = digest(self._table.filter(pa.array(self.known)))
        self.training = Training(data=flights.SOURCE, months=MONTHS, rows=int(self.known.sum()), sha256=seen, seed=SEED)

    def matrix(self, inputs: tuple[Input, ...]) -> Matrix:
        """As the course says."""
        return np.column_stack([np.asarray(self._table[one.name].cast(pa.float64()).to_numpy(), np.float32) for one in inputs])

    def judged(self, learner: Learner, score: Scores) -> Judged:
        """By month."""
        del learner
        metrics = measures.by_month(self._months, self.label, score)
        auc = next(row.auc for row in metrics if row.month == _HELD_OUT)
        why = f"AUC {auc:.3f} in month {_HELD_OUT}, {_LEAST_AUC} or more is asked"
        return Judged(Approval(approved=auc >= _LEAST_AUC, by="weft models train", why=why), metrics)

    def card(self, manifest: Manifest, learner: Learner) -> str:
        """As the course says."""
        return card(manifest, self.training, learner)
