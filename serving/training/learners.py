"""The models that are trained: what they take, and how."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import lightgbm
import numpy as np
import numpy.typing as npt
import onnx
import onnxmltools
from onnxmltools.convert.common.data_types import FloatTensorType
from skl2onnx import to_onnx
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from schemas.manifest import Input

Matrix = npt.NDArray[np.float32]
Scores = npt.NDArray[np.float64]

SEED = 2013
LOAN_SEED = 1994


@dataclass(frozen=True, slots=True)
class Learnt:
    """A trained model: as it scores in its own library, and as an ONNX classifier over one float matrix."""

    score: Callable[[Matrix], Scores]
    onnx: onnx.ModelProto


@dataclass(frozen=True, slots=True)
class Learner:
    """One model to train."""

    name: str
    version: str
    inputs: tuple[Input, ...]
    learn: Callable[[Matrix, npt.NDArray[np.int64]], Learnt]
    kind: str  # said on the card
    why: str  # what it is for
    data: Literal["flights", "loans"] = "flights"


def _gradient_boosting(matrix: Matrix, label: npt.NDArray[np.int64]) -> Learnt:
    # three times the trees with twice the leaves were no better in March and took eight times as long to answer
    model = lightgbm.LGBMClassifier(
        n_estimators=40, learning_rate=0.15, num_leaves=15, min_child_samples=60, random_state=SEED, n_jobs=1, deterministic=True,
        force_row_wise=True, verbose=-1,
    )  # fmt: skip
    return boosted(model, matrix, label)


def _small_boosting(matrix: Matrix, label: npt.NDArray[np.int64]) -> Learnt:
    # 700 rows: small trees, or they learn the rows by heart
    model = lightgbm.LGBMClassifier(
        n_estimators=60, learning_rate=0.08, num_leaves=7, min_child_samples=20, random_state=LOAN_SEED, n_jobs=1, deterministic=True,
        force_row_wise=True, verbose=-1,
    )  # fmt: skip
    return boosted(model, matrix, label)


def boosted(model: Any, matrix: Matrix, label: npt.NDArray[np.int64]) -> Learnt:
    """Fit LightGBM's classifier and export it."""
    model.fit(matrix, label)
    kind = FloatTensorType([None, matrix.shape[1]])
    converted = onnxmltools.convert_lightgbm(model, initial_types=[("matrix", kind)], zipmap=False, target_opset=15)
    return Learnt(lambda rows: np.asarray(model.booster_.predict(rows), np.float64), converted)


def _logistic(matrix: Matrix, label: npt.NDArray[np.int64]) -> Learnt:
    model: Any = make_pipeline(StandardScaler(), LogisticRegression(random_state=SEED))
    model.fit(matrix, label)
    converted = to_onnx(model, matrix[:1], options={id(model): {"zipmap": False}}, target_opset=15)
    return Learnt(lambda rows: np.asarray(model.predict_proba(rows)[:, 1], np.float64), converted)


def _double(name: str, null: str = "refuse") -> Input:
    return Input.model_validate({"name": name, "datatype": "FP64", "null": null})


CHAMPION = Learner(
    name="arrival-delay",
    version="1.0.0",
    inputs=(
        _double("dep_delay", "nan"),
        _double("distance"),
        _double("plane_year", "nan"),
        _double("plane_seats", "nan"),
        _double("plane_engines", "nan"),
        _double("weather_temp", "nan"),
        _double("weather_wind_speed", "nan"),
        _double("weather_precip", "nan"),
        _double("weather_visib", "nan"),
    ),
    learn=_gradient_boosting,
    kind="gradient-boosted trees (LightGBM, 40 trees of 15 leaves)",
    why="the champion: it answers as long as it can be reached",
)
LITE = Learner(
    name="arrival-delay-lite",
    version="1.0.0",
    inputs=(_double("dep_delay", "nan"), _double("distance")),
    learn=_logistic,
    kind="logistic regression on two standardised columns (scikit-learn)",
    why="the fallback: it needs no enrichment and answers in a tenth of the time",
)
LOAN = Learner(
    name="loan-default",
    version="1.0.0",
    inputs=(
        _double("amount"),
        _double("duration_months"),
        _double("instalment_rate"),
        _double("employed_years", "nan"),
        _double("collateral"),
        _double("guarantors"),
        _double("other_plans"),
        _double("account_checking_from", "nan"),
        _double("account_savings_from", "nan"),
        _double("account_history"),
        _double("account_credits"),
    ),
    learn=_small_boosting,
    kind="gradient-boosted trees (LightGBM, 60 trees of 7 leaves)",
    why="it takes neither sex nor age nor marital status nor nationality",
    data="loans",
)
LEARNERS = {learner.name: learner for learner in (CHAMPION, LITE, LOAN)}
