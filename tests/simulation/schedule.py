"""A history before it happens: how the fabric is set up, and what is done to it when. Drawn from a seed, and kept as JSON."""

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

from tests.simulation.events import KEYS, Kind, Shape

KINDS = {
    Kind.PLAIN: 40, Kind.TWICE: 8, Kind.NEVER: 3, Kind.ASKED: 12, Kind.LATE: 4, Kind.CURED: 7, Kind.FILTERED: 3, Kind.HELD: 3,
    Kind.RAISES: 3, Kind.UNFIT: 3, Kind.WORDS: 3,
}  # fmt: skip
ACTS = {
    "send": 40, "fail": 10, "kill": 8, "stop": 8, "end": 5, "usurp": 1, "rebalance": 6, "move": 5, "expire": 3, "clock": 3, "redis": 3,
    "models": 3, "publishers": 2, "slow": 2, "decide": 20, "redrive": 9, "upgrade": 2, "purge": 2, "compact": 2, "pause": 2,
}  # fmt: skip
STORM = ACTS | {"slow": 14, "move": 25, "rebalance": 10, "expire": 8, "fail": 14, "decide": 5, "redrive": 3}
"""Of every fourth history: partitions move while transactions are slow or fail."""
CALLS = {
    "fetch": 1, "begin": 1, "produce": 1, "flush": 2, "commit": 2, "end": 4, "abort": 1, "rewind": 1, "pause": 1, "resume": 1,
    "committed": 1,
}  # fmt: skip
FAILURES = (
    ("begin", "abort", False), ("produce", "abort", False), ("flush", "abort", True), ("commit", "abort", False), ("end", "abort", False),
    ("commit", "ownership", False), ("commit", "fatal", False), ("commit", "fatal", True), ("abort", "fatal", True),
    ("rewind", "fatal", True), ("fetch", "fatal", True), ("committed", "fatal", False),
)  # fmt: skip
APART_S = (0.0, 0.01, 0.02, 0.03, 0.06)
SLOTTED = frozenset({"fail", "kill", "stop", "expire", "end", "usurp", "clock"})
POINTED = frozenset({"kill", "stop", "expire"})  # may be at one of the worker's next calls of the log
LASTING = {
    "stop": (0.05, 1.0, 3.0, 5.0, 6.0, 12.0),
    "slow": (1.0, 4.0),
    **dict.fromkeys(("redis", "models", "publishers", "pause"), (0.3, 2.0, 8.0)),
}
JUMPS_S = (-400.0, -90.0, -20.0, -5.0, -0.5, 0.5, 5.0, 20.0, 90.0, 400.0)
WORDS = ("approve", "approve", "reject", "unfit")
PICKS = 1_000  # of what is there when the time comes, modulo how many that is
DRAWN: Mapping[str, Callable[[random.Random], Mapping[str, Any]]] = {
    "fail": lambda chance: dict(zip(("call", "error", "late"), chance.choice(FAILURES), strict=True)),
    **dict.fromkeys(("move", "purge", "compact"), lambda chance: {"chance": chance.randrange(PICKS)}),
    "clock": lambda chance: {"by_s": chance.choice(JUMPS_S)},
    "slow": lambda chance: {"times": chance.choice((20.0, 60.0, 200.0))},
    "decide": lambda chance: {
        "pick": chance.randrange(PICKS),
        "words": chance.choices(WORDS, k=chance.choice((1, 2, 2, 3))),
        "apart_s": chance.choice(APART_S),
    },
    "redrive": lambda chance: {
        "pick": chance.randrange(PICKS),
        "operators": chance.choice((1, 2, 2)),
        "ahead": chance.choice((0, 0, 0, 1)),
    },
}
GAPS_S = (0.0, 0.0, 0.02, 0.1, 0.3, 0.8, 2.0)


@dataclass(frozen=True, slots=True)
class Act:
    """Something that is done, so many seconds after the act before."""

    after_s: float
    name: str
    how: Mapping[str, Any]

    def __str__(self) -> str:
        return f"{self.name} {' '.join(f'{key}={value}' for key, value in self.how.items())}"


@dataclass(frozen=True, slots=True)
class Schedule:
    """A whole history."""

    seed: int
    slots: int
    lazy: float  # share of the tasks that fall behind
    batch_rows: int
    trouble: float
    shape: Shape
    kinds: Mapping[int, Kind]
    acts: tuple[Act, ...]

    def dumps(self) -> str:
        """As JSON, one act a line."""
        head = {
            "seed": self.seed,
            "slots": self.slots,
            "lazy": self.lazy,
            "batch_rows": self.batch_rows,
            "trouble": self.trouble,
            "shape": asdict(self.shape),
        }
        kinds = {str(number): kind.value for number, kind in self.kinds.items()}
        acts = ",\n  ".join(json.dumps([act.after_s, act.name, dict(act.how)]) for act in self.acts)
        return f'{{"setup": {json.dumps(head)},\n "kinds": {json.dumps(kinds)},\n "acts": [\n  {acts}\n ]}}\n'

    @classmethod
    def loads(cls, text: str) -> Self:
        """Read it back."""
        said = json.loads(text)
        kinds = {int(number): Kind(kind) for number, kind in said["kinds"].items()}
        setup = said["setup"] | {"shape": Shape(**said["setup"]["shape"])}
        return cls(**setup, kinds=kinds, acts=tuple(Act(*act) for act in said["acts"]))

    def without(self, gone: set[int]) -> Self:
        """The same with fewer acts."""
        return replace(self, acts=tuple(act for at, act in enumerate(self.acts) if at not in gone))


def drawn(seed: int) -> Schedule:
    """The history of a seed."""
    chance = random.Random(seed)
    kinds: dict[int, Kind] = {}
    slots = chance.choice((1, 2, 2, 3))
    weights = STORM if seed % 4 == 3 else ACTS
    names = chance.choices(list(weights), list(weights.values()), k=chance.randint(4, 16))
    acts = [Act(chance.choice(GAPS_S), name, _how(name, chance, kinds, slots)) for name in ["send", *names]]
    shape = Shape(
        order=chance.choice(("none", "key")),
        missing=chance.choice(("default", "default", "dead-letter", "quarantine", "review")),
        pauses=chance.random() < 0.5,
        review=chance.random() < 0.3,
        dedupe=chance.random() < 0.7,
    )
    return Schedule(
        seed,
        slots,
        chance.choice((0.0, 0.0, 0.2, 0.4)),
        chance.choice((1, 2, 4, 9)),
        chance.choice((0.0, 0.0, 0.03, 0.15)),
        shape,
        kinds,
        tuple(acts),
    )


def _how(name: str, chance: random.Random, kinds: dict[int, Kind], slots: int) -> Mapping[str, Any]:
    """The particulars of an act."""
    how: dict[str, Any] = {"numbers": _numbers(chance, kinds)} if name == "send" else {}
    if name in SLOTTED:
        how["slot"] = chance.randrange(slots)
    if name in DRAWN:
        how |= DRAWN[name](chance)
    if name in LASTING:
        how["for_s"] = chance.choice(LASTING[name])
    if name in POINTED and chance.random() < 0.7:  # else at once
        call = chance.choices(list(CALLS), list(CALLS.values()))[0]
        how |= {"call": call, "late": chance.random() < 0.5, "nth": chance.choice((1, 1, 2, 4))}
    return how


def _numbers(chance: random.Random, kinds: dict[int, Kind]) -> list[list[int]]:
    """Events as (number, key): mostly new ones, now and then one that came before."""
    sent = []
    for _ in range(chance.choice((1, 1, 2, 3, 5, 8))):
        number = len(kinds) + 1
        if kinds and chance.random() < 0.08:
            number = chance.choice(sorted(kinds))
        kinds.setdefault(number, chance.choices(list(KINDS), list(KINDS.values()))[0])
        sent.append([number, chance.randrange(KEYS)])
    return sent
