"""The arithmetic of an open-loop load: when each event is due, how long after that its result was there, and the percentiles of that.

An event's time counts from when it was due, whether or not the sender could send it then: who counts from the sending hides the wait of
all events behind one that is slow (coordinated omission).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

Seconds = npt.NDArray[np.float64]
Offsets = npt.NDArray[np.int64]

QUANTILES: Mapping[str, float] = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999, "max": 1.0}


def due_by(elapsed_s: float, rate: float) -> int:
    """How many events are due so long after the first one's moment."""
    return 0 if elapsed_s < 0 else int(elapsed_s * rate) + 1


@dataclass(frozen=True, slots=True)
class Sent:
    """A load that was sent: event k was due at start_s + k / rate, and stands in partition k % p at firsts[k % p] + k // p."""

    start_s: float  # of the machine's monotonic clock, the same in every process
    rate: float  # events/s
    firsts: Offsets  # (p,) the offset of each partition's first event
    late_s: Seconds  # (n,) how long after its moment each was handed to the client

    def due_s(self) -> Seconds:
        """(n,) when each was due."""
        return self.start_s + np.arange(len(self.late_s)) / self.rate

    def save(self, file: Path) -> None:
        """For another process."""
        np.savez(file, start_s=self.start_s, rate=self.rate, firsts=self.firsts, late_s=self.late_s)

    @classmethod
    def load(cls, file: Path) -> Self:
        """What `save` wrote."""
        with np.load(file) as found:
            return cls(float(found["start_s"]), float(found["rate"]), found["firsts"], found["late_s"])


@dataclass(frozen=True, slots=True)
class Arrived:
    """Results as they came, n of them: of which input position, and when."""

    partitions: Offsets
    offsets: Offsets
    at_s: Seconds

    def save(self, file: Path) -> None:
        """For another process."""
        np.savez(file, partitions=self.partitions, offsets=self.offsets, at_s=self.at_s)

    @classmethod
    def load(cls, file: Path) -> Self:
        """What `save` wrote."""
        with np.load(file) as found:
            return cls(found["partitions"], found["offsets"], found["at_s"])

    @classmethod
    def of(cls, positions: Sequence[str], at_s: Sequence[float]) -> Self:
        """From positions as topic/partition/offset."""
        parts = [position.rsplit("/", 2) for position in positions]
        numbers = np.array([part[1:] for part in parts], np.int64).reshape(-1, 2)
        return cls(numbers[:, 0], numbers[:, 1], np.array(at_s, np.float64))


def latencies(sent: Sent, arrived: Arrived, warm_s: float) -> Seconds:
    """From due to result, of the events that have one and were due when the warm-up was over."""
    partitions = len(sent.firsts)
    event = (arrived.offsets - sent.firsts[arrived.partitions]) * partitions + arrived.partitions
    mine = (arrived.offsets >= sent.firsts[arrived.partitions]) & (event < len(sent.late_s))
    due = sent.due_s()[event[mine]]
    warm = due >= sent.start_s + warm_s
    taken: Seconds = (arrived.at_s[mine] - due)[warm]
    return taken


def quantiles(taken_s: Seconds) -> Mapping[str, float]:
    """Of QUANTILES in milliseconds: the smallest value that so large a part of all does not exceed. NaN where there are none."""
    if not len(taken_s):
        return dict.fromkeys(QUANTILES, float("nan"))
    found = np.quantile(taken_s, list(QUANTILES.values()), method="inverted_cdf") * 1000
    return dict(zip(QUANTILES, found.tolist(), strict=True))
