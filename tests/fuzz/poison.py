"""What events cost that can't be read or that break a step, by their share: all others keep their outcome and their order."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from processors.flow.compiled import Flow
from processors.step import Batch, State, Stepped
from schemas.vocabulary import Reason
from tests.fuzz.encodings import Target, targets
from tests.fuzz.events import dead, good
from tests.fuzz.stream import Stream
from tests.fuzz.thrown import Kind, Thrown
from tests.fuzz.told import Told

SHARES = (0.0, 0.0001, 0.01, 0.5, 1.0)
POISON = "poison"


class Breaks:
    """Raises where poison is in the batch."""

    name, stateful = "breaks", False

    async def run(self, batch: Batch, state: State) -> Stepped:
        if POISON in set(batch.columns.column("note").to_pylist()):
            raise RuntimeError("poison")
        return Stepped(batch, (), state)


@dataclass(frozen=True)
class Way:
    """One way to be poison."""

    name: str
    spoil: Callable[[Target, Thrown, dict[str, object]], Thrown]
    step: bool


def _cut(target: Target, thrown: Thrown, datum: dict[str, object]) -> Thrown:
    return thrown._replace(value=(thrown.value or b"")[:-1], ending=dead(Reason.TRUNCATED))


def _breaks(target: Target, thrown: Thrown, datum: dict[str, object]) -> Thrown:
    assert target.avro is not None
    return thrown._replace(value=target.avro.value(datum | {"note": POISON}), ending=dead(Reason.STEP_FAILED))


WAYS = (Way("can't be read", _cut, False), Way("breaks a step", _breaks, True))


def cost(folder: Path, way: Way, share: float, records: int, seed: int) -> Told:
    """Throw events of which so many are poison."""
    plain = targets()[0]
    assert plain.avro is not None
    avro = plain.avro

    def make(chance: random.Random) -> Thrown:
        datum = good(chance, False)
        value = avro.value(datum)
        thrown = Thrown("", value, avro.judged(value), [])
        return way.spoil(plain, thrown, datum) if chance.random() < share else thrown

    label = f"{way.name}, {share:.2%}"
    stream = Stream(folder, replace(plain, name=label, kinds=[Kind(label, 1, make)], avro=None), seed, _breaking if way.step else None)
    return stream.run_now(records)


def _breaking(flow: Flow) -> Flow:
    """With a step behind decode that poison breaks."""
    return replace(flow, steps=(flow.steps[0], Breaks(), *flow.steps[1:]), gives=(flow.gives[0], {}, *flow.gives[1:]))


def table(found: Sequence[tuple[Way, float, Told]]) -> list[str]:
    """Events a second by share, as lines."""
    lines = [f"{'poison that':16}" + "".join(f"{share:>10.2%}" for share in SHARES) + "   (events/s)"]
    for way in WAYS:
        rates = [told.per_s for mine, _, told in found if mine is way]
        lines.append(f"{way.name:16}" + "".join(f"{rate:>10,.0f}" for rate in rates))
    return lines
