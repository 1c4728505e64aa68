"""The flow that is simulated, and what its events are to come to: each number has a kind, drawn with the history."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
import pyarrow as pa

from processors.flow.compiled import Flow, Limits, Topics
from processors.flow.dedupe import Dedupe
from processors.lookups.cache import Cache
from processors.lookups.keys import Template
from processors.lookups.objects import FOUND, Objects
from processors.ports import Lookup, Models
from processors.rungs import AskModel
from processors.step import Batch, Leave, State, Step, Stepped, Trip
from processors.steps.enrich import Enrich
from processors.steps.infer import Infer
from schemas.vocabulary import Reason, Verdict
from tests.simulation.small import Count, Lines, Numbers

PARTITIONS = 2
KEYS = 4
TOPICS = Topics(
    "in", "out", "f.dead", "f.quarantine", "f.reviews", "f.resume", ("f.retry.a", "f.retry.b"), "f.generations", "f.ledger", "f.signed"
)
LATER = replace(TOPICS, retries=("f.retry.a", "f.retry.c"))
LIMITS = Limits(deadline_s=40.0, review_s=12.0, retries_s=(0.7, 2.5), redrives=2)
SIZES = pa.schema([pa.field("size", pa.int64()), pa.field(FOUND, pa.bool_(), nullable=False)])


class Kind(StrEnum):
    """What an event of a number is to come to."""

    PLAIN = "plain"  # a result
    TWICE = "twice"  # must be tried again once
    NEVER = "never"  # must be tried again for ever
    ASKED = "asked"  # a person decides
    LATE = "late"  # must be tried again once, then a person decides
    CURED = "cured"  # a dead letter until it is redriven
    FILTERED = "filtered"  # not for this flow
    HELD = "held"  # quarantine
    RAISES = "raises"  # breaks its step
    UNFIT = "unfit"  # does not fit the result's schema
    WORDS = "words"  # no number at all


def value_of(number: int, kind: Kind) -> bytes:
    """The event's value."""
    if kind is Kind.UNFIT:
        return b"-%d" % number
    return b"x%d" % number if kind is Kind.WORDS else b"%d" % number


def said(kind: Kind, trip: Trip) -> Verdict | None:
    """What the rule says about a pass of an event."""
    match kind:
        case Kind.TWICE if trip.attempt < 1:
            return Verdict.RETRY
        case Kind.LATE:
            return Verdict.RETRY if trip.attempt < 1 else Verdict.REVIEW
        case Kind.NEVER:
            return Verdict.RETRY
        case Kind.ASKED:
            return Verdict.REVIEW
        case Kind.CURED if not trip.generation:
            return Verdict.DEAD_LETTER
        case Kind.FILTERED:
            return Verdict.FILTERED
        case Kind.HELD:
            return Verdict.QUARANTINE
    return None


@dataclass(frozen=True)
class Rule:
    """Sends each row to where its kind says."""

    kinds: Mapping[int, Kind]
    passes: Callable[[], object]
    name: str = "ask"
    stateful: bool = False

    async def run(self, batch: Batch, state: State) -> Stepped:
        """Look it up."""
        numbers = batch.columns.column("n").to_pylist()
        kinds = [self.kinds[abs(n)] for n in numbers]
        if Kind.RAISES in kinds:
            raise RuntimeError("a row breaks this step")
        verdicts = [said(kind, batch.intake.trip(int(row))) for kind, row in zip(kinds, batch.origin, strict=True)]
        leaves = []
        for verdict in sorted({verdict for verdict in verdicts if verdict is not None}):
            rows = np.array([row for row, one in enumerate(verdicts) if one is verdict], np.int64)
            leaves.append(Leave(rows, verdict, Reason.POLICY, "asked", "the rule asks"))
        gone = np.array([row for row, verdict in enumerate(verdicts) if verdict is not None], np.int64)
        kept = batch.without(gone).with_column("rule", pa.nulls(len(batch) - len(gone), pa.string()))
        return Stepped(kept, tuple(leaves), state)


@dataclass(frozen=True)
class Shape:
    """What a history varies in its flow."""

    order: str = "none"
    missing: str = "default"  # what becomes of a row that a lookup does not know
    pauses: bool = True  # whether an outage of the model pauses the flow
    review: bool = False  # whether a person decides where the model fails
    dedupe: bool = True


def flow_of(shape: Shape, kinds: Mapping[int, Kind], lookup: Lookup, models: Models, seconds: Callable[[], float]) -> tuple[Flow, Flow]:
    """The flow in two versions, the later one first: it waits longer before the second retry, on a topic of its own."""
    objects = Objects(SIZES, (("size", lambda value: isinstance(value, int), True, -1),))
    enrich = Enrich("enrich", Template(("thing:", ""), ("n",)), objects, "thing", shape.missing, lookup, Cache(SIZES, 64, 5.0), seconds)
    gives = pa.schema([pa.field("score", pa.float64())])
    model = AskModel(models, "m", "champion", ("n",), gives, 0.25)
    infer = Infer("infer", (model,), gives, shape.pauses, shape.review)
    dedupe: tuple[Step, ...] = (Dedupe("f", "id", 3600, lookup),) if shape.dedupe else ()
    steps = (Numbers(), *dedupe, enrich, Rule(kinds, seconds), infer, Count())
    columns: tuple[Mapping[str, pa.DataType], ...] = (
        {"n": pa.int64(), "id": pa.string()}, *({} for _ in dedupe), {"thing_size": pa.int64(), "thing_found": pa.bool_()},
        {"rule": pa.string()}, {"score": pa.float64(), "model": pa.string(), "degraded": pa.bool_()}, {},
    )  # fmt: skip
    order = "key" if shape.order == "key" else "none"
    first = Flow("f", "1.0.0", TOPICS, LIMITS, order, steps, columns, Lines(), "tests.Number", Lines(), "id", None, False)  # type: ignore[arg-type]
    return replace(first, version="2.0.0", topics=LATER, limits=replace(LIMITS, retries_s=(0.7, 4.0))), first
