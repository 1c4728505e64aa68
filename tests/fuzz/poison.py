"""What poison costs by how many rows of a batch are it: it can't be read, breaks a step, or gets no answer. All others end as ever."""

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import pyarrow as pa
import pyarrow.compute as pc

from processors.flow.compiled import Flow
from processors.ports import Answer
from processors.rungs import AskModel
from processors.step import DEGRADED, MODEL, Batch, State, Step, Stepped
from processors.steps.infer import Infer
from schemas.vocabulary import Reason
from tests.fuzz.avro_kinds import Avro
from tests.fuzz.encodings import targets
from tests.fuzz.events import Datum, dead, good
from tests.fuzz.stream import Stream
from tests.fuzz.thrown import Thrown
from tests.fuzz.told import Told

ROWS = 1_000  # of a batch
BAD = (0, 1, 10, 100, 500, ROWS)
POISON = "poison"


class Breaks:
    """Raises where poison is in the batch."""

    name, stateful = "breaks", False

    async def run(self, batch: Batch, state: State) -> Stepped:
        if POISON in set(batch.columns.column("note").to_pylist()):
            raise RuntimeError("poison")
        return Stepped(batch, (), state)


class Unsure:
    """Two models: the first has no number for poison."""

    async def infer(self, model: str, route: str, columns: pa.RecordBatch, keys: object, timeout_s: float) -> Answer:
        poison = pc.fill_null(pc.equal(columns.column("note"), POISON), False)
        scores = pc.if_else(poison, math.nan if model == "first" else 0.5, 0.5)
        return Answer(pa.RecordBatch.from_arrays([scores], names=["score"]), model)


@dataclass(frozen=True)
class Way:
    """One way to be poison: what it is, how it ends, and the step in the flow that it spoils."""

    name: str
    spoil: Callable[[Avro, Thrown, Datum], Thrown]
    step: tuple[Step, Mapping[str, pa.DataType]] | None = None  # behind decode, with the columns that it gives
    reason: Reason = Reason.NONE  # of the dead letter; none: it ends as any other


def _cut(avro: Avro, thrown: Thrown, datum: Datum) -> Thrown:
    return thrown._replace(value=(thrown.value or b"")[:-1], ending=dead(Reason.TRUNCATED))


def _noted(avro: Avro, thrown: Thrown, datum: Datum) -> Thrown:
    value = avro.value(datum | {"note": POISON})
    return thrown._replace(value=value, ending=avro.judged(value))


def _breaks(avro: Avro, thrown: Thrown, datum: Datum) -> Thrown:
    return _noted(avro, thrown, datum)._replace(ending=dead(Reason.STEP_FAILED))


GIVES = pa.schema([pa.field("score", pa.float64())])
LADDER = tuple(AskModel(Unsure(), name, "champion", ("note",), GIVES, 1.0) for name in ("first", "second"))
INFER = Infer("infer", LADDER, GIVES, pauses=False, review=False)
WAYS = (
    Way("can't be read", _cut, reason=Reason.TRUNCATED),
    Way("breaks a step", _breaks, (Breaks(), {}), Reason.STEP_FAILED),
    Way("has no answer", _noted, (INFER, {"score": pa.float64(), MODEL: pa.string(), DEGRADED: pa.bool_()})),
)


def cost(folder: Path, way: Way, bad: int, batches: int, seed: int) -> Told:
    """Throw batches in each of which so many rows are poison."""
    plain = targets()[0]
    assert plain.avro is not None
    avro, chance, label = plain.avro, random.Random(f"{way.name} {bad} {seed}"), f"{way.name}, {bad} of {ROWS}"

    def made(poison: bool) -> Thrown:
        datum = good(chance, False)
        value = avro.value(datum)
        thrown = Thrown(label, value, avro.judged(value), [])
        return way.spoil(avro, thrown, datum) if poison else thrown

    def with_step(flow: Flow) -> Flow:
        if way.step is None:
            return flow
        step, gives = way.step
        return replace(flow, steps=(flow.steps[0], step, *flow.steps[1:]), gives=(flow.gives[0], gives, *flow.gives[1:]))

    stream = Stream(folder, replace(plain, name=label, avro=None), seed, with_step)
    spoilt = [set(chance.sample(range(ROWS), bad)) for _ in range(batches)]
    return stream.run_now([made(row in mine) for row in range(ROWS)] for mine in spoilt)


def table(found: Sequence[tuple[Way, int, Told]]) -> list[str]:
    """The processor time of a batch by how many of its rows are poison, as lines."""
    lines = [f"{'bad rows of ' + str(ROWS):16}" + "".join(f"{bad:>8}" for bad in BAD) + "   (ms a batch)"]
    for way in WAYS:
        times = [median(told.waves_s) for mine, _, told in found if mine is way]
        lines.append(f"{way.name:16}" + "".join(f"{1_000 * time_s:>8,.0f}" for time_s in times))
    return lines
