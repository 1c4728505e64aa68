"""Compiles a checked flow to the steps and writers that a lane runs."""

from dataclasses import replace

from processors.flow.bundle import Bundle
from processors.flow.check import Checked, check, result_of
from processors.flow.compiled import Flow, Limits
from processors.flow.dedupe import Dedupe
from processors.flow.placing import Placed
from processors.flow.plan import Parts
from processors.flow.project import FrozenProject, Project
from processors.flow.spec import FlowFile
from processors.flow.topics import topics_of
from processors.flow.when import When
from processors.flow.writers import details_writer
from processors.step import Step
from schemas.codecs.encodings import envelope


def compile_flow(project: Project, name: str, parts: Parts) -> Flow:
    """The flow of that name, ready to run.

    Raises:
        FlowError: there is no such flow, or it has mistakes.
    """
    checked = check(project, name)
    spec = checked.sound()
    return _compiled(checked, spec, replace(parts, project=project, flow=f"{spec.flow}@{spec.version}"))


def compile_bundle(value: bytes, parts: Parts) -> Flow:
    """A flow as it was when its bundle was made; only writers' schemas that came later are looked up in `parts.project`.

    Raises:
        FlowError: it is no bundle, or this Weft finds mistakes in it.
    """
    read = Bundle.decode(value)
    return compile_flow(FrozenProject(read.files, parts.project), read.flow, parts)


def _compiled(checked: Checked, spec: FlowFile, parts: Parts) -> Flow:
    steps = [_built(placed, parts) for placed in checked.placed]
    gives = [placed.plan.gives for placed in checked.placed]
    if spec.input.dedupe is not None and spec.input.id is not None:
        steps.insert(1, Dedupe(spec.flow, spec.input.id, max(1, round(spec.input.dedupe)), parts.lookup))
        gives.insert(1, {})
    return Flow(
        name=spec.flow,
        version=spec.version,
        topics=topics_of(spec),
        limits=_limits(spec, max(placed.plan.takes_s for placed in checked.placed)),
        order=spec.order,
        steps=tuple(steps),
        gives=tuple(gives),
        result=result_of(parts.project, spec.result),
        result_type=spec.result.contract,
        envelope=envelope(spec.result.encoding),
        details=details_writer(spec.flow, checked.columns),
        id_column=spec.input.id_column,
        time_column=spec.input.time_column,
        reads_headers=spec.input.reads_headers,
        start=spec.input.start,
    )


def _built(placed: Placed, parts: Parts) -> Step:
    step = placed.plan.build(parts)
    return step if placed.when is None else When(step, placed.when, placed.plan.gives)


def _limits(spec: FlowFile, takes_s: float) -> Limits:
    """The bounds; a step may be at its rows at least as long as it may wait for its ports, and for half of that again."""
    limits = spec.limits
    return Limits(limits.deadline, limits.review, limits.retries, limits.redrives, limits.value_bytes, max(limits.step, 1.5 * takes_s))
