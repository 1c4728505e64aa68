"""Where a worker's time goes: microseconds per event, step and phase, from the metrics that it exposes at work."""

import asyncio
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Self

from ops.bench.ground import Ground, Say, ground
from ops.run.watching import fetched
from ops.top.exposition import Samples, of, parse
from schemas.errors import FailedError
from schemas.metrics import Metric, Phase
from streams.slot import Slot

FLOW = "bench-profile"
SETTLING = (Phase.IDLE, Phase.PRODUCE, Phase.PACK, Phase.FLUSH, Phase.COMMIT)
"""They follow one another, so together they are all the time that there is."""
LOOK_S = 0.25
STALLED_S = 240.0


@dataclass(frozen=True, slots=True)
class Profile:
    """What happened between two looks at the metrics of a worker. Times are in microseconds per event."""

    events: int
    steps: Mapping[str, float]  # elapsed; batches behind are at other steps meanwhile
    phases: Mapping[Phase, float]  # elapsed
    cpu_us: float  # of the process, all its threads

    @classmethod
    def between(cls, before: Samples, after: Samples) -> Self:
        """Of all that has settled since `before`.

        Raises:
            FailedError: nothing has.
        """
        events = _grown(before, after, Metric.EVENTS).get("", 0.0)
        if events <= 0:
            raise FailedError("no event has settled between two looks at the worker", "ask for more events")
        steps = {step: seconds / events * 1e6 for step, seconds in _grown(before, after, Metric.STEP_SECONDS, "step").items()}
        phases = _grown(before, after, Metric.PHASE_SECONDS, "phase")
        cpu_s = sum(after.get(CPU, {}).values()) - sum(before.get(CPU, {}).values())
        return cls(int(events), steps, {phase: phases.get(phase, 0.0) / events * 1e6 for phase in Phase}, cpu_s / events * 1e6)

    @property
    def wall_us(self) -> float:
        """All the time that there was."""
        return sum(self.phases[phase] for phase in SETTLING)

    def rows(self) -> list[tuple[str, float, str]]:
        """What is done, its time, and what it is; in the order of an event's way."""
        aside = {Phase.FETCH: "wait for the records", Phase.PREPARE: "write down outcomes, digests and leaves"}
        settling = {
            Phase.IDLE: "no batch is ready to settle",
            Phase.PRODUCE: "begin a transaction, hand records to the client",
            Phase.PACK: "leaves become blocks of the ledger",
            Phase.FLUSH: "wait until what was produced has landed",
            Phase.COMMIT: "send the offsets, commit",
        }
        return [
            (Phase.FETCH, self.phases[Phase.FETCH], aside[Phase.FETCH]),
            *((step, took_us, "step") for step, took_us in self.steps.items()),
            (Phase.PREPARE, self.phases[Phase.PREPARE], aside[Phase.PREPARE]),
            *((phase, self.phases[phase], said) for phase, said in settling.items()),
        ]

    def figures(self) -> dict[str, Any]:
        """For programs."""
        return {
            "events": self.events,
            "events_s": 1e6 / self.wall_us if self.wall_us else 0.0,
            "wall_us": self.wall_us,
            "cpu_us": self.cpu_us,
            "steps_us": dict(self.steps),
            "phases_us": {phase.value: took_us for phase, took_us in self.phases.items()},
        }


CPU = "process_cpu_seconds_total"


def _grown(before: Samples, after: Samples, metric: Metric, label: str = "") -> dict[str, float]:
    """How much a counter, or the sum of a histogram, has grown, by a label."""
    part = min(1, len(metric.spec.series) - 1)
    old = of(before, metric, part)
    return {dict(labels).get(label, ""): value - old.get(labels, 0.0) for labels, value in of(after, metric, part).items()}


def profile(events: int, say: Say) -> Profile:
    """Run the shipped flow over so many departures, its model in the worker, on a stack of its own."""
    with ground(say) as here:
        return asyncio.run(_measured(here, events, say))


async def _measured(here: Ground, events: int, say: Say) -> Profile:
    say(f"producing {events:,} events")
    await here.load()
    await here.produce(events)
    await here.apply(FLOW)
    slot = Slot(FLOW, 0, 1, here.settings.data_folder)
    process = here.worker(FLOW)
    try:
        return Profile.between(await _settled(here, slot, process, 1), await _settled(here, slot, process, events))
    finally:
        process.kill()
        process.wait()


async def _settled(here: Ground, slot: Slot, process: "subprocess.Popen[bytes]", events: int) -> Samples:
    """Its metrics, as soon as so many events have settled."""
    end_s = time.monotonic() + STALLED_S
    while True:
        samples: Samples = {}
        with suppress(OSError, ValueError):  # it starts, or is at work and answers late
            samples = parse((await asyncio.to_thread(fetched, slot.kept_port() or 0, "/metrics")).decode())
        if sum(of(samples, Metric.EVENTS).values()) >= events:
            return samples
        if process.poll() is not None or time.monotonic() > end_s:
            raise FailedError(f"the worker did not finish; it said: {here.said(FLOW)}")
        await asyncio.sleep(LOOK_S)
