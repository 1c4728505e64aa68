"""Two votes on whether two histograms come from one distribution: population stability index and Kolmogorov-Smirnov.

A histogram counts values by bin, bin 0 for null and NaN, the others in ascending order.
"""

import math
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]

PSI_FLOOR = 0.1
"""Below this a shift is of no practical weight, however many rows prove it (Siddiqi, Credit Risk Scorecards, 2006)."""

CONFIDENCE = 0.999


def psi(reference: Counts, window: Counts) -> float:
    """Sum of (q - p) ln(q / p) over the bins; half a row is added to each bin, so that an empty one is not infinitely far."""
    p = (reference + 0.5) / (reference.sum() + 0.5 * len(reference))
    q = (window + 0.5) / (window.sum() + 0.5 * len(window))
    return float(np.sum((q - p) * np.log(q / p)))


def psi_threshold(reference: Counts, window: Counts, floor: float = PSI_FLOOR) -> float:
    """The larger of `floor` and what chance alone reaches once in 1,000 windows.

    Without drift PSI / (1/n + 1/m) is chi-squared with bins - 1 degrees of freedom (Yurdakul and Naranjo, Statistical properties of the
    population stability index, Journal of Risk Model Validation, 2020). A bin that is empty on both sides is no bin.
    """
    bins = int(np.count_nonzero(reference + window))
    return max(floor, chi_squared_quantile(CONFIDENCE, bins - 1) * (1 / reference.sum() + 1 / window.sum())) if bins > 1 else floor


def chi_squared_quantile(probability: float, degrees: int) -> float:
    """The quantile by Wilson and Hilferty's cube (PNAS, 1931); at 0.999 it errs by 3 % at one degree, by 1 % from five on."""
    spread = 2 / (9 * degrees)
    return degrees * (1 - spread + NormalDist().inv_cdf(probability) * math.sqrt(spread)) ** 3


def ks(reference: Counts, window: Counts) -> float:
    """The largest distance of the two cumulative distributions at the bins' ends: at most that over all values, so the careful side."""
    return float(np.max(np.abs(np.cumsum(reference) / reference.sum() - np.cumsum(window) / window.sum())))


def ks_p(distance: float, n: int, m: int) -> float:
    """The chance of at least that distance without drift (Stephens 1970; Numerical Recipes, 3rd edition, 14.3.3)."""
    root = math.sqrt(n * m / (n + m))
    scaled = (root + 0.12 + 0.11 / root) * distance
    if scaled < 0.2:  # the series needs more terms there, and is 1 to nine digits
        return 1.0
    total = 2 * math.fsum((1 if k % 2 else -1) * math.exp(-2 * (k * scaled) ** 2) for k in range(1, 101))
    return min(1.0, max(0.0, total))
