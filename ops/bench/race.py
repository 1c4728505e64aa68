"""The race: Weft and others do the same job on the same broker and events, in alternating rounds; then each is killed once."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from ops.bench.contenders import Contender
from ops.bench.ground import INPUT, Ground, Say, ground
from ops.bench.kill import kill
from ops.bench.lap import Task, lap
from ops.bench.outputs import due
from ops.bench.results import Kill, Lap, Named, Outcome
from ops.examples import flights
from processors.flow.project import BUILT_IN
from schemas.errors import WeftError

FIFTH = 5  # who is slow gets so many times fewer events
FIFTH_OF_IT = f"{INPUT}.fifth"
PARTITIONS = 4

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be raced."""

    contenders: Mapping[str, Contender]
    events: int
    rounds: int
    kills: Sequence[str] = ()  # who is killed once, after the rounds


class Race:
    """One race. Who can't go on is left out from then on, with the reason."""

    def __init__(self, asked: Asked, say: Say, progress: Progress) -> None:
        self._asked, self._say, self._progress = asked, say, progress
        self._laps: list[Lap] = []
        self._kills: list[Kill] = []
        self._absent: dict[str, str] = {}
        self._done = 0

    def run(self) -> Outcome:
        """On a ground of its own."""
        for name, contender in self._asked.contenders.items():
            try:
                contender.ready(self._say)
            except WeftError as error:
                self._leave(name, error)
        with ground(self._say, serve=any(one.served for one in self._asked.contenders.values()), partitions=PARTITIONS) as on:
            asyncio.run(self._on(on))
        named = {name: Named(one.title, one.guarantee) for name, one in self._asked.contenders.items()}
        return Outcome(named, tuple(self._laps), tuple(self._kills), dict(self._absent))

    async def _on(self, on: Ground) -> None:
        tasks = await self._tasks(on)
        for turn in range(self._asked.rounds):
            names = tuple(self._asked.contenders)
            for name in reversed(names) if turn % 2 else names:
                await self._lap(tasks, name, turn)
        for name in self._asked.kills:
            await self._kill(tasks, name)

    async def _tasks(self, on: Ground) -> Mapping[bool, Task]:
        """The inputs, by whether they are for those who are slow."""
        await on.load()
        lookups, tasks = dict(flights.lookups()), {}
        for slow in sorted({one.slow for one in self._asked.contenders.values()}):
            topic, events = (FIFTH_OF_IT, self._asked.events // FIFTH) if slow else (INPUT, self._asked.events)
            self._say(f"producing {events:,} events")
            await on.produce(events, topic)
            expected = await asyncio.to_thread(due, on.bootstrap, topic, on.partitions, BUILT_IN["schemas"], lookups)
            tasks[slow] = Task(on, expected)
        return tasks

    def _contender(self, name: str) -> Contender:
        found = self._asked.contenders[name]
        return replace(found, topic=FIFTH_OF_IT) if found.slow else found

    async def _lap(self, tasks: Mapping[bool, Task], name: str, turn: int) -> None:
        contender = self._contender(name)
        self._tell()
        if name in self._absent:
            return
        try:
            one = await lap(tasks[contender.slow], name, contender, turn)
        except WeftError as error:
            self._leave(name, error)
            return
        self._laps.append(one)
        wrong = "" if one.count.right else f"  lost {one.count.lost}, twice {one.count.twice}, wrong {one.count.wrong}"
        figures = f"{one.events_s:>9,.0f} events/s  {one.cpu_us:6.1f} us CPU/event  {one.peak_bytes >> 20:4} MB{wrong}"
        self._say(f"round {turn + 1}: {name:18} {figures}")

    async def _kill(self, tasks: Mapping[bool, Task], name: str) -> None:
        contender = self._contender(name)
        self._tell()
        if name in self._absent:
            return
        try:
            one = await kill(tasks[contender.slow], name, contender)
        except WeftError as error:
            self._leave(name, error)
            return
        self._kills.append(one)
        self._say(f"killed: {name:18} lost {one.count.lost:,}, twice {one.count.twice:,}, back after: {one.back} s")

    def _leave(self, name: str, error: WeftError) -> None:
        self._absent[name] = error.sentence
        self._say(f"{name} is left out: {error.sentence}")

    def _tell(self) -> None:
        laps = len(self._asked.contenders) * self._asked.rounds + len(self._asked.kills)
        self._progress("laps", self._done, laps)
        self._done += 1
