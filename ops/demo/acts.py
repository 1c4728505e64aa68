"""The demo's acts in order: models, stack, events, work, proof. Each is timed; at the end nothing of it runs any more."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import psutil

from connectors.kafka.reader import KafkaReader
from ops.audit.report import Report
from ops.daily import produce
from ops.daily.desk import desk
from ops.demo.fates import Fate, fates
from ops.demo.place import FLOW, Place
from ops.demo.proof import Receipted, receipted, verified
from ops.demo.tail import Tail
from ops.report.gather import Figures, gather
from ops.run.preparing import Asked, prepare
from ops.run.supervisor import Plan, Supervisor
from ops.run.watching import Watching
from ops.stack import services
from processors.flow.check import check
from processors.flow.project import FolderProject
from processors.flow.topics import topics_of
from schemas.errors import FailedError
from schemas.positions import Position
from serving.catalog import Catalog
from serving.training.names import NAMES

TIME = "scheduled_at"
FIRST = ("kafka", "redis")  # what the events need; models are wanted only when work begins
RATED_S = 2.0  # in a shorter time a rate says nothing
READ_S = 2.0  # between two looks into the ledger


class Teller(Protocol):
    """Shows people how it goes."""

    def act(self, title: str) -> None:
        """This begins now."""

    def say(self, sentence: str) -> None:
        """A line of its own."""

    def progress(self, what: str, done: int, total: int) -> None:
        """So far."""

    def live(self, watching: Watching, tail: Tail, total: int) -> None:
        """How the workers stand; `total` records were sent."""


def _unsaid(sentence: str) -> None:
    """That a key was made is news where it must be kept; this one ends with the demo."""


@dataclass(slots=True)
class Told:
    """What the demo brought to light."""

    sent: produce.Sent
    tail: Tail
    report: Report
    fates: Sequence[Fate]
    receipt: Receipted
    page: Path
    rows_s: float  # rows a second, from the first block to the last; 0 where there were too few to tell
    memory_bytes: int  # the most that a worker took


@dataclass(slots=True)
class Demo:
    """One demo. `train` makes the named models, `draw` the page of a report; `limit`: so many of the year's events, None is all."""

    place: Place
    tell: Teller
    workers: int
    train: Callable[[Sequence[str]], None]
    draw: Callable[[Figures, Path], Path]
    limit: int | None = None
    times: dict[str, float] = field(default_factory=dict)  # seconds, by act
    memory_bytes: int = 0

    def run(self) -> Told:
        """All acts. The stack is left running: `end` ends it.

        Raises:
            WeftError: an act failed.
        """
        with self._act("beginning anew"):
            self.place.clear()
        with self._act("models"):
            self._train()
        with self._act("stack"):
            self.place.stack.up(FIRST, self.tell.progress)
        with self._serving() as served:  # models load while the events are written
            with self._act("events"):
                plan, sent = asyncio.run(self._sent())
            with self._act("model server"):
                served.result()
        with self._act("work"):
            tail = self._work(plan, sent)
        return asyncio.run(self._proven(tail, sent))

    def end(self, wipe: bool) -> list[str]:
        """End all that runs; processes that should not be there any more. Without `wipe` the data stay, to find out what went wrong."""
        with self._act("clean stop"):
            (self.place.stack.wipe if wipe else self.place.stack.down)()
        return self.place.left()

    def _train(self) -> None:
        catalog = Catalog(FolderProject(self.place.settings.project_folder))
        if missing := [name for name in NAMES if name not in catalog.names()]:  # all of them, or those that a killed demo left untrained
            self.train(missing)
        for name in catalog.names():
            manifest = catalog.manifest(name)
            self.tell.say(f"{manifest.ident}: {manifest.approval.why}")

    @contextlib.contextmanager
    def _serving(self) -> Iterator[Future[None]]:
        """The model server starts aside; when what is done meanwhile fails or is interrupted, it is given up at once."""
        given_up = threading.Event()

        def told(what: str, done: int, total: int) -> None:
            if given_up.is_set():
                raise FailedError("The start of the model server was given up.")
            self.tell.progress(what, done, total)

        with ThreadPoolExecutor(1) as aside:
            try:
                yield aside.submit(self._serve, told)
            except BaseException:
                given_up.set()
                raise

    def _serve(self, told: Callable[[str, int, int], None]) -> None:
        if self.place.stack.needed("serve"):
            self.place.stack.up(["serve"], told)

    async def _sent(self) -> tuple[Plan, produce.Sent]:
        """The flow is applied and the events are on its input topic."""
        settings = self.place.settings
        plan = await prepare(Asked(settings, FLOW, self.workers, until_idle=True), _unsaid)
        plan = replace(plan, environment={**plan.environment, **self.place.environment})
        sent = produce.Sent(FLOW)
        await produce.produce(settings, sent, produce.Asked(self.limit, hostile=True), self.tell.progress)
        self.tell.say(f"{sent.events:,} departures of 2013 and {len(sent.hostile)} hostile records are on {sent.topic}; {FLOW} is applied.")
        return plan, sent

    def _work(self, plan: Plan, sent: produce.Sent) -> Tail:
        """Run the workers until all is done, looking into the ledger meanwhile."""
        settings, total, next_s = self.place.settings, sum(sent.partitions.values()), 0.0
        topics = topics_of(check(FolderProject(settings.project_folder), FLOW).sound())
        reader = KafkaReader(services.kafka(settings))
        tail = Tail(reader, topics, TIME, [Position.parse(str(one["position"])) for one in sent.hostile])

        def show(watching: Watching) -> None:
            nonlocal next_s
            if time.monotonic() >= next_s:
                asyncio.run(tail.read())
                next_s = time.monotonic() + READ_S
            self._weigh(watching)
            self.tell.live(watching, tail, total)

        try:
            code = Supervisor(plan, self.tell.say, show).run()
            asyncio.run(tail.read())
        finally:
            asyncio.run(reader.close())
        if tail.done < total:
            raise FailedError(f"The work was ended with {total - tail.done:,} records left.", "Run the demo again: it begins anew.")
        if code:
            raise FailedError("A worker did not drain cleanly.", f"Its log is in {plan.data / 'run' / FLOW}.")
        return tail

    def _weigh(self, watching: Watching) -> None:
        for status in watching.statuses.values():
            with contextlib.suppress(psutil.Error):
                self.memory_bytes = max(self.memory_bytes, psutil.Process(status["pid"]).memory_info().rss)

    async def _proven(self, tail: Tail, sent: produce.Sent) -> Told:
        async with desk(self.place.settings, FLOW) as at:
            with self._act("verification"):
                report = await verified(at, lambda done, total: self.tell.progress("verifying", done, total))
            with self._act("hostile records"):
                found = await fates(at.reader, at.flow.topics, sent.hostile, tail.leaves)
            with self._act("receipt"):
                made = await receipted(at, self.place.proof)
            with self._act("report"):
                figures = await gather(at, time.time_ns() // 1_000_000, lambda done, total: self.tell.progress("reporting", done, total))
                page = self.draw(figures, self.place.proof / "report.html")
        seconds = (tail.last_ms - tail.first_ms) / 1000
        return Told(sent, tail, report, found, made, page, tail.done / seconds if seconds >= RATED_S else 0.0, self.memory_bytes)

    @contextlib.contextmanager
    def _act(self, title: str) -> Iterator[None]:
        self.tell.act(title)
        began = time.monotonic()
        try:
            yield
        finally:
            self.times[title] = time.monotonic() - began
