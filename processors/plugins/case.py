"""A step and a batch for it: what the laws of steps are tried on."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from processors.flow.plan import Mistake, Parts, Plan, Site
from processors.flow.project import Project
from processors.flow.yaml import parse
from processors.plugins.step import Example
from processors.step import Batch, Intake, Step
from schemas.errors import FlowError
from schemas.positions import Source

ROWS = 1_500
SOURCES = tuple(Source("flights.departures", partition) for partition in range(3))


@dataclass(frozen=True, slots=True)
class Case:
    """A built step, a batch on which it has something to do, and its plan where it has one."""

    step: Step
    batch: Batch
    plan: Plan | None = None


class Planned(NamedTuple):
    """A step's plan at the end of a flow of one step, and the mistakes made there."""

    plan: Plan | None  # None where what it is told has mistakes
    mistakes: list[Mistake]


def planned(step: Any, told: Mapping[str, Any], columns: Mapping[str, pa.DataType], project: Project) -> Planned:
    """Plan a step, of Weft or a plugin, as it stands in no flow."""
    mistakes: list[Mistake] = []
    site = Site(project, parse("flow.yaml", json.dumps(told)), mistakes)
    spec = site.load(step.Spec)
    return Planned(None if spec is None else step.plan(spec, site, columns), mistakes)


def batch_of(columns: pa.RecordBatch) -> Batch:
    """The rows as a batch whose intake had one more row before each of them; sources in turn."""
    rows = columns.num_rows
    empty: list[bytes | None] = [b""] * (2 * rows)
    source = (np.arange(2 * rows) % len(SOURCES)).astype(np.int16)
    intake = Intake(SOURCES, source, np.arange(2 * rows), np.zeros(2 * rows, np.int64), [None] * (2 * rows), empty, None, 1_000)
    return Batch(columns, np.arange(rows, dtype=np.int64) * 2 + 1, intake)


def types(columns: pa.RecordBatch) -> dict[str, pa.DataType]:
    """Name and type of each column."""
    return {field.name: field.type for field in columns.schema}


def case_of(step: Any, example: Example, parts: Parts) -> Case:
    """The case that a plugin's example makes.

    Raises:
        FlowError: the example does not suit the step.
    """
    try:
        few = pa.RecordBatch.from_pydict(dict(example.columns))
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise FlowError(f"the columns of its EXAMPLE are none: {error}") from error
    if not few.num_rows:
        raise FlowError("the columns of its EXAMPLE have no rows")
    columns = few.take(pa.array(np.arange(ROWS) % few.num_rows))
    plan, mistakes = planned(step, example.told, types(columns), parts.project)
    if plan is None or mistakes:
        raise FlowError(f"its EXAMPLE has a mistake: {mistakes[0].sentence}", mistakes[0].hint)
    return Case(plan.build(parts), batch_of(columns), plan)
