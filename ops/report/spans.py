"""Spans of time on a logarithmic scale: any quantile within six hundredths, in a bounded number of bins."""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ops.report.timeline import Axis, Ints, Timeline

PER_DECADE: Final = 40
BINS: Final = 11 * PER_DECADE + 1  # 1 ms to three years
QUANTILES: Final = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


def bins(spans_ms: Ints) -> Ints:
    """The bin of each span; below a millisecond the first."""
    logs = np.log10(np.maximum(spans_ms, 1)) * PER_DECADE
    found: Ints = np.minimum(np.round(logs).astype(np.int64), BINS - 1)
    return found


def seconds(code: int) -> float:
    """The middle of a bin."""
    return float(10 ** (code / PER_DECADE) / 1000)


def quantile(counts: Ints, share: float) -> float | None:
    """Seconds below which this share lies; None where there is nothing."""
    total = int(counts.sum())
    if not total:
        return None
    return seconds(int(np.searchsorted(np.cumsum(counts), share * total)))


class Spans:
    """How long something took, by when it ended."""

    def __init__(self) -> None:
        self.line = Timeline()
        self.counts: npt.NDArray[np.int64] = np.zeros(BINS, np.int64)

    def add(self, ended_ms: Ints, spans_ms: Ints) -> None:
        """So many of them."""
        codes = bins(spans_ms)
        self.line.add(ended_ms, codes)
        self.counts += np.bincount(codes, minlength=BINS)

    def summary(self) -> dict[str, Any]:
        """Over all."""
        return {"count": int(self.counts.sum())} | {name: quantile(self.counts, share) for name, share in QUANTILES.items()}

    def histogram(self) -> list[list[float]]:
        """Bins that hold something, by seconds."""
        return [[seconds(int(code)), int(self.counts[code])] for code in np.flatnonzero(self.counts)]

    def series(self, axis: Axis) -> dict[str, Any]:
        """The quantiles of every bucket."""
        table = axis.table(self.line, BINS)
        told = {name: [quantile(row, share) for row in table] for name, share in QUANTILES.items()}
        return {"unit": axis.unit, "at": axis.labels(), "count": table.sum(axis=1).tolist(), **told}
