"""How good scores are: AUC, Brier score, calibration, by month or by group."""

import numpy as np
import numpy.typing as npt
from sklearn.metrics import roc_auc_score

from schemas.manifest import Group, Month

_BINS = 10
_DIGITS = 6  # beyond this the last bits of a sum differ between machines


def by_month(months: npt.NDArray[np.int64], label: npt.NDArray[np.int64], score: npt.NDArray[np.float64]) -> tuple[Month, ...]:
    """One row for each month that is there; arguments are (n,)."""
    return tuple(_month(int(month), label[months == month], score[months == month]) for month in np.unique(months))


def _month(month: int, label: npt.NDArray[np.int64], score: npt.NDArray[np.float64]) -> Month:
    return Month(
        month=month,
        rows=len(label),
        late=round(float(label.mean()), _DIGITS),
        predicted=round(float(score.mean()), _DIGITS),
        auc=round(float(roc_auc_score(label, score)), _DIGITS),
        brier=round(float(np.mean((score - label) ** 2)), _DIGITS),
        calibration=round(calibration(label, score), _DIGITS),
    )


def group(name: str, label: npt.NDArray[np.int64], score: npt.NDArray[np.float64], threshold: float) -> Group:
    """One group of rows; arguments are (n,), with both labels among them."""
    below = score < threshold
    return Group(
        group=name,
        rows=len(label),
        positive=round(float(label.mean()), _DIGITS),
        predicted=round(float(score.mean()), _DIGITS),
        auc=round(float(roc_auc_score(label, score)), _DIGITS),
        brier=round(float(np.mean((score - label) ** 2)), _DIGITS),
        calibration=round(calibration(label, score), _DIGITS),
        threshold=threshold,
        below=round(float(below.mean()), _DIGITS),
        specificity=round(float(below[label == 0].mean()), _DIGITS),
        sensitivity=round(float(1 - below[label == 1].mean()), _DIGITS),
    )


def calibration(label: npt.NDArray[np.int64], score: npt.NDArray[np.float64]) -> float:
    """Expected calibration error: the mean gap between observed share and mean score over bins of equal width, weighted by rows."""
    bins = np.minimum((score * _BINS).astype(np.int64), _BINS - 1)
    rows = np.bincount(bins, minlength=_BINS)
    gap = np.abs(np.bincount(bins, label, _BINS) - np.bincount(bins, score, _BINS))
    return float(gap[rows > 0].sum() / len(label))
