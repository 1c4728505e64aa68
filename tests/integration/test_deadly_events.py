"""Events on which a step never comes back, eats all memory or ends the process: real workers end, and each such event ends alone."""

import json
from pathlib import Path
from uuid import uuid4

import pytest

from ops.examples import flights
from tests.integration.flow_at_work import FlowAtWork
from tests.integration.outcomes_by_hand import everything, judge
from tests.stack import TestStack

pytestmark = [pytest.mark.slow, pytest.mark.long]

STEP = '''
"""Does to the worker what a bad library may."""

import asyncio
import json
import os
import re
import signal
from pathlib import Path

import numpy as np

from processors.plugins.step import Example, Plan, Stepped, StepSpec

DEADLY = Path(__file__).parents[2] / "deadly.json"


class Spec(StepSpec):
    pass


class Deadly:
    stateful = False

    def __init__(self, name):
        self.name, self.known = name, json.loads(DEADLY.read_text())

    async def run(self, batch, state):
        for flight in batch.columns.column("flight_id").to_pylist():
            match self.known.get(flight):
                case "waits": await asyncio.Event().wait()
                case "loops": re.match("(a+)+$", "a" * 64 + "b")
                case "eats": [np.empty(1 << 28, np.uint8) for _ in range(40)]
                case "kills": os.kill(os.getpid(), signal.SIGKILL)
                case "raises": raise RuntimeError("as it says")
        return Stepped(batch, state=state)


def plan(spec, at, columns):
    return Plan(spec.name or "deadly", frozenset({"flight_id"}), {}, lambda _: Deadly(spec.name or "deadly"))


EXAMPLE = Example({}, {"flight_id": ["a"]})
'''
CHANGES = {
    "  - filter:   {when": "  - deadly: {}\n  - filter:   {when",
    "model: arrival-delay, route": "model: arrival-delay-lite, route",
    "fallback: [{model: arrival-delay-lite}, ": "fallback: [",
    "redrives: 3,": "redrives: 3, step: 2s,",
}
EVENTS = 300


def found(stack: TestStack, folder: Path, deadly: dict[str, str]) -> tuple[FlowAtWork, dict[str, str]]:
    """The flow when all is done, and what the dead letters say by flight."""
    ids = flights.departures()["flight_id"][:EVENTS].to_pylist()
    known = {ids[int(at)]: how for at, how in deadly.items()}
    (folder / "plugins" / "steps").mkdir(parents=True)
    (folder / "plugins" / "steps" / "deadly.py").write_text(STEP)
    (folder / "weft.toml").write_text("")
    (folder / "deadly.json").write_text(json.dumps(known))
    flow = FlowAtWork(stack, folder, f"deadly-{uuid4().hex[:6]}", changes=CHANGES)
    flow.feed(EVENTS).join()
    with flow.running():
        flow.finish(240)
    return flow, known


@pytest.mark.parametrize(
    "deadly",
    [
        pytest.param({"70": "waits", "140": "eats", "200": "raises"}, id="told"),
        pytest.param({"0": "waits", "99": "loops", "170": "kills", "171": "kills", "250": "eats"}, id="all"),
    ],
)
async def test_each_is_found_and_the_others_go_on(stack: TestStack, tmp_path: Path, deadly: dict[str, str]) -> None:
    flow, known = found(stack, tmp_path / "project", deadly)
    judged = judge(stack.bootstrap, flow.name)
    assert judged.events == EVENTS
    assert judged.all_once(), (sorted(judged.lost)[:3], sorted(judged.twice)[:3], flow.said())
    letters = everything(stack.bootstrap, f"{flow.name}.dead-letters")
    assert len(letters) == len(known), flow.said()
    assert all(reason == "step-failed" for reason in judged.reasons.values() if reason)
    assert (await flow.audited()).proven
