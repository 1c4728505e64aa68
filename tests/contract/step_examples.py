"""For each step module of a flow one built step and a batch on which it has something to do. A new module needs an example here."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from connectors.memory.lookup import MemoryLookup
from processors.cel.expression import Expression
from processors.drift.reference import Reference, describe
from processors.flow.plan import Parts, Plan
from processors.flow.project import BUILT_IN, FolderProject, FrozenProject
from processors.flow.words import step_modules
from processors.plugins.case import ROWS, Case, batch_of, planned, types
from processors.ports import Answer
from processors.rungs import AskRule
from processors.step import Step
from processors.steps.infer import Infer


class NoModels:
    """No model is asked here."""

    async def infer(self, model: str, route: str, columns: pa.RecordBatch, keys: Any, timeout_s: float) -> Answer:
        """As the port says; never called."""
        raise AssertionError(model)


def departures(rows: int = ROWS, seed: int = 7) -> pa.RecordBatch:
    """Invented departures, some wrong, some with nulls."""
    chance = np.random.default_rng(seed)
    origin = chance.choice(["EWR", "JFK", "LGA", "XXX"], rows, p=[0.33, 0.33, 0.33, 0.01])
    return pa.RecordBatch.from_pydict(
        {
            "origin": pa.array(origin),
            "dest": pa.array(chance.choice(["BOS", "SFO", "EWR", "b"], rows)),
            "tailnum": pa.array(chance.choice(["N1", "N2", "N3", "N4"], rows), mask=chance.random(rows) < 0.1),
            "dep_delay": pa.array(chance.normal(20.0, 30.0, rows), mask=chance.random(rows) < 0.05),
            "distance": pa.array(chance.choice([17.0, 200.0, 2_500.0, -1.0], rows)),
        }
    )


class Built:
    """A plan of a step at the end of a flow file of one step, with the mistakes made there."""

    def __init__(
        self, word: str, told: Mapping[str, Any], columns: Mapping[str, pa.DataType], files: Mapping[str, str] | None = None
    ) -> None:
        contracts = {f"schemas/{file.name}": file.read_text() for file in BUILT_IN["schemas"].glob("flights.*.avsc")}
        self.project = FrozenProject({**contracts, **(files or {})}, FolderProject())
        plan, self.mistakes = planned(step_modules()[word], told, columns, self.project)
        assert plan is not None, self.mistakes
        self.plan: Plan = plan

    def step(self, lookup: MemoryLookup | None = None, clock: Callable[[], float] = lambda: 0.0) -> Step:
        """The step."""
        assert not self.mistakes
        return self.plan.build(Parts(lookup or MemoryLookup(), NoModels(), clock, self.project))


def _made(word: str, told: Mapping[str, Any], files: Mapping[str, str] | None = None, lookup: MemoryLookup | None = None) -> Case:
    columns = departures()
    built = Built(word, told, types(columns), files)
    return Case(built.step(lookup), batch_of(columns), built.plan)


def _decode() -> Case:
    told = {"schema": "flights.Departure", "encoding": "json", "tombstones": "dead-letter"}
    batch = batch_of(pa.RecordBatch.from_struct_array(pa.array([{}] * ROWS, pa.struct([]))))
    good = {"flight_id": "UA-1", "scheduled_at": 1_356_998_400_000, "carrier": "UA", "flight": 1, "origin": "EWR", "dest": "BOS"}
    kinds = [None, b"{", b"[1]", b'{"flight_id": 7}', json.dumps(good | {"distance": 1.5, "time_hour": "h"}).encode()]
    values = [kinds[min(row % 11, 4)] for row in range(len(batch.intake))]
    built = Built("decode", told, {})
    return Case(built.step(), replace(batch, intake=replace(batch.intake, values=values)), built.plan)


def _filter() -> Case:
    return _made("filter", {"when": "dep_delay < 0.0", "reason": "early"})


RULES = """
rules:
  - {name: known, column: tailnum, not_null: true, sentence: It must be there.}
  - {name: airport, column: origin, in_set: [EWR, JFK, LGA], sentence: It must be one of ours.}
  - {name: code, column: dest, matches: "^[A-Z]{3}$", sentence: It must be a code.}
  - {name: far, column: distance, between: [0, null], sentence: It must be positive.}
  - {name: short, column: dest, length: [1, 3], sentence: It must be short.}
  - {name: late, holds: dep_delay < 60.0, sentence: It must not be that late.}
"""


def _validate() -> Case:
    return _made("validate", {"rules": "r"}, {"rules/r.yaml": RULES})


PLANES = {"plane:N1": b'{"year": 2001, "seats": 5}', "plane:N2": b'{"year": "old"}', "plane:N3": b'{"year": null, "engines": 4, "more": 1}'}


def _enrich() -> Case:
    told = {"lookup": "plane:{tailnum}", "schema": "flights.Plane", "into": "plane", "missing": "quarantine"}
    return _made("enrich", told, lookup=MemoryLookup(PLANES.items()))


def reference(values: pa.Array) -> str:
    """A reference file for `dep_delay`."""
    return Reference(flow="f", time_from="a", time_to="b", rows=len(values), columns={"dep_delay": describe(values)}).text()


def _drift() -> Case:
    told = {"columns": ["dep_delay"], "reference": "r", "window": 500}
    before = pa.array(np.random.default_rng(1).normal(0.0, 10.0, 5_000))
    return _made("drift", told, {"references/r.json": reference(before)})


POLICY = """
rules:
  - {name: hide, when: 'origin == "EWR"', then: mask, columns: [tailnum], into: hash, sentence: Hidden.}
  - {name: empty, when: 'dest == "b"', then: mask, columns: [dest], sentence: Hidden.}
  - {name: odd, when: distance < 0.0, then: quarantine, sentence: Odd.}
  - {name: back, when: origin == dest, then: stop, sentence: It came back.}
  - {name: late, when: dep_delay > 60.0, then: review, sentence: Late.}
"""


def _policy() -> Case:
    return _made("policy", {"rules": "p"}, {"policies/p.yaml": POLICY})


def _decide() -> Case:
    return _made("decide", {"when": "dep_delay > 30.0", "as": "notify", "else": "ignore"})


def _infer() -> Case:
    columns = departures()
    rule = Expression.compile("dep_delay > 30.0 ? 1.0 : 0.0", types(columns), pa.float64())
    gives = pa.schema([("score", pa.float64())])
    return Case(Infer("infer", (AskRule(rule, gives),), gives, False, True), batch_of(columns))


SUITE = {"expectations": [{"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "dep_delay", "mostly": 0.9}}]}


def _watch() -> Case:
    return _made("watch", {"suite": "s", "sample": 0.5}, {"suites/s.json": json.dumps(SUITE)})


EXAMPLES: Mapping[str, Callable[[], Case]] = {
    "decode": _decode,
    "filter": _filter,
    "validate": _validate,
    "enrich": _enrich,
    "drift": _drift,
    "policy": _policy,
    "infer": _infer,
    "decide": _decide,
    "watch": _watch,
}
"""By the step's word."""
