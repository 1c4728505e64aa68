"""The seeded schedule: which faults, in which order, on which line; struck one after the other, and sometimes over each other."""

import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence

from tests.chaos.faults import KINDS, Kind, Missed, scale
from tests.chaos.world import Blow, World

BACK_S = 120.0  # a line that has no outcome so long after a fault is stuck
TRIES = 3
EARLY = 5  # faults before the first line gets more workers


def deck(world: World, faults: int, chance: random.Random, shares: Mapping[str, int]) -> list[Kind]:
    """So many faults in an order of their own; each kind that this world allows has its share, and is there at least once."""
    allowed = [kind for kind in KINDS if not kind.wants or getattr(world, kind.wants) is not None]
    share = {kind.name: shares.get(kind.name, 0) for kind in allowed}
    whole = sum(share.values())
    counts = {name: max(1, int(faults * part / whole)) for name, part in share.items() if part}
    most = max(counts, key=lambda name: counts[name])
    counts[most] = max(1, counts[most] + faults - sum(counts.values()))
    made = [kind for kind in allowed for _ in range(counts.get(kind.name, 0))]
    chance.shuffle(made)
    first = next((at for at, kind in enumerate(made) if kind.act is scale), None)
    if first is not None and first > EARLY:
        made.insert(EARLY, made.pop(first))
    return made


class Schedule:
    """Strikes. `say` hears each blow when it is over. `overlap`: so often the next fault does not wait until one is over and forgotten."""

    def __init__(self, world: World, seed: int, overlap: float, say: Callable[[Blow, Kind], None]) -> None:
        self._world, self._overlap, self._say = world, overlap, say
        self._chance = random.Random(seed)
        self._running: dict[threading.Thread, Kind] = {}
        self.blows: list[tuple[Kind, Blow]] = []
        self.missed: list[str] = []
        self.broken: list[BaseException] = []

    def run(self, faults: Sequence[Kind], end_s: float) -> None:
        """All of them, or until that moment; the last one is over when this returns."""
        for number, kind in enumerate(faults):
            if time.monotonic() > end_s or self.broken:
                break
            self._world.mend()
            self._free(kind)
            self._strike(kind, number)
            if self._chance.random() >= self._overlap:
                self._free()
        self._free()
        if self.broken:
            raise self.broken[0]

    def _free(self, kind: Kind | None = None) -> None:
        """Wait for what strikes at the same; without a kind for everything."""
        for thread, running in list(self._running.items()):
            if kind is None or running.needs & kind.needs:
                thread.join()
                del self._running[thread]

    def _strike(self, kind: Kind, number: int) -> None:
        chance = random.Random(self._chance.random())
        lines = self._world.lines
        line = lines[0] if kind.shared or chance.random() < 0.7 else chance.choice(lines)
        thread = threading.Thread(target=self._act, args=(kind, Blow(kind.name, line, chance)), daemon=True, name=f"{number} {kind.name}")
        self._running[thread] = kind
        thread.start()

    def _act(self, kind: Kind, blow: Blow) -> None:
        try:
            for _ in range(TRIES):
                try:
                    kind.act(self._world, blow)
                    break
                except Missed as missed:
                    self.missed.append(f"{kind.name}: {missed}")
            else:
                return
            blow.end()
            blow.line.departures.burst(0.1)
            self._back(blow)
            self.blows.append((kind, blow))
            self._say(blow, kind)
        except BaseException as error:
            self.broken.append(error)

    def _back(self, blow: Blow) -> None:
        end_s = time.monotonic() + BACK_S
        while (moment := blow.line.outcomes.after(blow.newest)) is None:
            if time.monotonic() > end_s:
                found = [(said["slot"], said["reasons"], said["lane"]["sources"]) for said in blow.line.statuses()]
                raise AssertionError(f"{blow.kind}: {blow.line.name} is stuck on {blow.newest}; {found}; {blow.line.said()}")
            blow.line.departures.burst(0.0)
            time.sleep(0.05)
        blow.next_s = moment
