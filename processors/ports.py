"""What steps may ask: lookups, models, and whoever watches samples. Implemented by connectors and serving, and by in-memory twins."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa


class Lookup(Protocol):
    """A keyed store of JSON objects (Redis)."""

    async def mget(self, keys: Sequence[str]) -> Sequence[bytes | None]:
        """The values of the keys, in order; None where there is none. One round trip.

        Raises:
            UnreachableError: the store can't be reached, or refuses: its password was changed, it is read-only or full.
        """

    async def claim(self, keys: Sequence[str], owners: Sequence[str], ttl_s: int) -> Sequence[str]:
        """For each key set it to its owner unless set, and return who owns it (`SET key owner NX GET EX ttl`).

        Raises:
            UnreachableError: the store can't be reached, or refuses: its password was changed, it is read-only or full.
        """


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model said about n rows."""

    columns: pa.RecordBatch  # n rows, the model's outputs
    model: str  # name@version that answered


class Models(Protocol):
    """Whoever answers for a model: the router, or an in-memory twin."""

    async def infer(self, model: str, route: str, columns: pa.RecordBatch, keys: Sequence[bytes | None], timeout_s: float) -> Answer:
        """Ask a model about n rows in one call; `columns` holds its inputs by name.

        Raises:
            UnreachableError: it can't be reached, or its breaker is open.
            FailedError: it took longer than timeout_s, answered with an error, or with the wrong names, types or shapes.
            UsageError: there is no such model, or it takes other columns.
        """


@dataclass(frozen=True, slots=True)
class Sample:
    """Rows that a step of a flow lets others look at."""

    flow: str  # name@version
    step: str
    columns: pa.RecordBatch


class Samples(Protocol):
    """Whoever watches samples, or nobody. Takes them at once or not at all: it never waits and never raises."""

    def offer(self, sample: Sample) -> int:
        """How many of the rows were taken."""


class Unwatched:
    """Nobody watches."""

    def offer(self, sample: Sample) -> int:
        """Takes none."""
        del sample
        return 0


NOBODY = Unwatched()
