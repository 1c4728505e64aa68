"""What was measured, and the table that is made of it."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace

from ops.bench.outputs import Count

LOOP = "loop"


@dataclass(frozen=True, slots=True)
class Lap:
    """What one contender did in one round."""

    name: str
    turn: int
    events: int
    events_s: float
    cpu_us: float  # of its process, per event: seconds per million events
    peak_bytes: int
    count: Count


@dataclass(frozen=True, slots=True)
class Kill:
    """What came of one kill -9."""

    name: str
    count: Count
    back_s: float | None  # until the first new outcome could be read; None: none came, or all were there already

    @property
    def back(self) -> str:
        """As a person is told."""
        if self.back_s is None:
            return "never" if self.count.lost else "had done all"
        return f"{self.back_s:.1f}"


@dataclass(frozen=True, slots=True)
class Named:
    """A contender, as the table names it."""

    title: str
    guarantee: str


@dataclass(frozen=True, slots=True)
class Row:
    """One contender's figures."""

    name: str
    title: str
    guarantee: str
    events_s: tuple[float, float, float] | None = None  # least, median, most
    ratio: float | None = None  # of speeds, to the base's in the same round, the median
    cpu_us: float | None = None
    cpu_ratio: float | None = None
    peak_bytes: int | None = None
    wrong_laps: int = 0  # laps whose outcomes were not those that were due
    kill: Kill | None = None
    why: str = ""  # there are no figures, or not all


@dataclass(frozen=True, slots=True)
class Outcome:
    """All laps and kills; `absent`: why somebody could not do them."""

    contenders: Mapping[str, Named]
    laps: Sequence[Lap]
    kills: Sequence[Kill] = ()
    absent: Mapping[str, str] = field(default_factory=dict)

    @property
    def base(self) -> str:
        """Whom the others are compared with: the hand-written loop where it races, else the first."""
        return LOOP if LOOP in self.contenders else next(iter(self.contenders))

    def ratios(self, name: str, to: str = "", of: Callable[[Lap], float] = lambda lap: lap.events_s) -> list[float]:
        """To the other's (the base's) in the same round, by round; rounds that one of them did not end are left out."""
        by_turn: dict[int, dict[str, float]] = {}
        for lap in self.laps:
            by_turn.setdefault(lap.turn, {})[lap.name] = of(lap)
        both = [turn for turn in by_turn.values() if name in turn and turn.get(to or self.base)]
        return [turn[name] / turn[to or self.base] for turn in both]

    def row(self, name: str) -> Row:
        """One contender's figures."""
        named, laps = self.contenders[name], [lap for lap in self.laps if lap.name == name]
        kills = [kill for kill in self.kills if kill.name == name]
        made = Row(name, named.title, named.guarantee, kill=kills[0] if kills else None, why=self.absent.get(name, ""))
        if not laps:
            return made
        speeds = [lap.events_s for lap in laps]
        return replace(
            made,
            events_s=(min(speeds), statistics.median(speeds), max(speeds)),
            ratio=_median(self.ratios(name)),
            cpu_us=statistics.median(lap.cpu_us for lap in laps),
            cpu_ratio=_median(self.ratios(name, of=lambda lap: lap.cpu_us)),
            peak_bytes=max(lap.peak_bytes for lap in laps),
            wrong_laps=sum(not lap.count.right for lap in laps),
        )

    def rows(self) -> list[Row]:
        """Everyone's, in the order in which they were named."""
        return [self.row(name) for name in self.contenders]

    def figures(self) -> dict[str, object]:
        """For programs."""
        rows = {row.name: {**asdict(row), "ratios": self.ratios(row.name)} for row in self.rows()}
        goals = [{**asdict(goal), "ratio": ratio, "met": goal.met(ratio)} for goal in GOALS if (ratio := self.reached(goal)) is not None]
        return {"to": self.base, "contenders": rows, "goals": goals, "laps": [asdict(lap) for lap in self.laps]}

    def reached(self, goal: "Goal") -> float | None:
        """The ratio that a goal is about; None where one of the two has no figures."""
        return _median(self.ratios(goal.of, goal.to))

    def sound(self) -> bool:
        """Whether everyone did the whole job in each round, each event once, and Weft's exactly once also when it was killed."""
        killed = [kill.count.right for kill in self.kills if kill.name == "weft"]
        return not self.absent and all(lap.count.right for lap in self.laps) and all(killed)


@dataclass(frozen=True, slots=True)
class Goal:
    """How many times as fast as `to` `of` is to be; `holds`: at least, on any machine."""

    of: str
    to: str
    goal: float
    holds: float | None = None

    def met(self, ratio: float) -> bool:
        """Whether it is reached."""
        return ratio >= self.goal


GOALS = (
    Goal("weft", LOOP, 2.0, 1.4),
    Goal("weft", "columnar", 0.9, 0.9),
    Goal("weft", "faust", 30.0),
    Goal("weft", "faust-take", 12.0),
    Goal("weft", "quix-exactly-once", 12.0),
    Goal("weft", "bytewax-batched", 2.0, 1.4),
    Goal("weft", "weft-at-least-once", 0.95),
)


def _median(values: Sequence[float]) -> float | None:
    return statistics.median(values) if values else None
