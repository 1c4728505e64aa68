"""A compiled flow: what a lane runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import pyarrow as pa

from processors.step import Step
from schemas.codecs.cloudevents import Envelope


class Writer(Protocol):
    """Encodes rows for one topic."""

    @property
    def content_type(self) -> str:
        """The media type of what it writes, e.g. `application/avro`."""

    def encode(self, columns: pa.RecordBatch) -> Sequence[bytes]:
        """One value per row; columns that the schema lacks are left out.

        Raises:
            ValueError: a row does not fit the schema; split the batch to find it.
        """


class Notes(Writer, Protocol):
    """Encodes the details of rows: whichever columns are there, the others null."""

    @property
    def schema_json(self) -> str:
        """The Avro schema of what it writes, so that a block explains itself."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds of a flow. Durations in seconds."""

    deadline_s: float = 900.0
    review_s: float = 86_400.0
    retries_s: tuple[float, ...] = (1.0, 30.0, 300.0)
    redrives: int = 3
    value_bytes: int = 1_048_576
    step_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics of a flow. All but the result and the input are named after the flow."""

    input: str
    result: str
    dead_letters: str
    quarantine: str
    reviews: str
    resume: str
    retries: tuple[str, ...]  # one per delay of limits.retries_s
    generations: str
    ledger: str
    checkpoints: str

    @property
    def consumed(self) -> tuple[str, ...]:
        """What the flow's group subscribes to; each partition of these has a tree."""
        return (self.input, self.resume, *self.retries)

    @property
    def written(self) -> tuple[str, ...]:
        """What the flow's transactions write to."""
        return (self.result, self.dead_letters, self.quarantine, self.reviews, *self.retries, self.generations, self.ledger)


def together(versions: Sequence[Topics]) -> Topics:
    """The topics of several versions of a flow, the current one first: only retries differ, and rows may wait on those of any."""
    retries = dict.fromkeys(topic for version in versions for topic in version.retries)
    return replace(versions[0], retries=tuple(retries))


@dataclass(frozen=True, slots=True)
class Flow:
    """One version of a flow, checked and compiled."""

    name: str
    version: str
    topics: Topics
    limits: Limits
    order: Literal["none", "key"]
    steps: tuple[Step, ...]  # decode first
    gives: tuple[Mapping[str, pa.DataType], ...]  # per step, the columns it adds: what an approving reviewer must set in its place
    result: Writer
    result_type: str  # full name of the result's schema, e.g. flights.DelayDecision
    details: Notes  # every column of the flow, nullable: what `weft explain` prints
    id_column: str | None
    time_column: str | None
    reads_headers: bool
    start: Literal["earliest", "latest"] = "earliest"  # where it begins if it has never run
    envelope: Envelope | None = None  # around each result, where results are CloudEvents in structured mode

    @property
    def ident(self) -> str:
        """name@version"""
        return f"{self.name}@{self.version}"
