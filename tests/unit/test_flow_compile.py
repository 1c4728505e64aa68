"""What the compiler makes of a sound flow."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from connectors.memory.lookup import MemoryLookup
from ops.flow.events import read_samples
from ops.flow.offline import FixedScore, judge
from processors.flow.bundle import bundle
from processors.flow.check import check
from processors.flow.compile import compile_bundle, compile_flow
from processors.flow.compiled import Flow
from processors.flow.plan import Parts
from processors.flow.project import BUILT_IN, FolderProject
from schemas.errors import FlowError
from schemas.vocabulary import Reason, Verdict
from tests.models import trained
from tests.unit.flow_project import SMALL, small, write

STEPS = SMALL[SMALL.index("steps:") : SMALL.index("result:")]
ALONE = (STEPS, "steps: []\n"), ("flights.DelayDecision", "flights.Departure")
SAMPLES = BUILT_IN["flows"] / "samples/departure-delays.ndjson"


def parts(project: FolderProject) -> Parts:
    return Parts(MemoryLookup(), FixedScore(0.9), time.monotonic, project)


def outcomes(flow: Flow, project: FolderProject) -> list[tuple[str, Verdict, Reason, Any]]:
    spec = check(project, "small").sound()
    samples = read_samples(SAMPLES, spec, project.contracts()[spec.input.contract])
    judged = asyncio.run(judge(flow, spec, samples))
    return [(one.id, one.verdict, one.reason, one.columns.get("decision")) for one in judged]


def test_a_flow_of_nothing_but_decode_runs(tmp_path: Path) -> None:
    project = small(tmp_path, *ALONE)
    flow = compile_flow(project, "small", parts(project))
    assert [step.name for step in flow.steps] == ["decode"]
    assert len(flow.gives) == 1
    verdicts = [verdict for _, verdict, _, _ in outcomes(flow, project)]
    assert verdicts == [Verdict.RESULT] * 11 + [Verdict.DEAD_LETTER] * 3 + [Verdict.FILTERED]


def test_a_compiled_flow_says_what_the_file_says(tmp_path: Path) -> None:
    project = small(
        tmp_path, ("limits: {deadline: 15m", "limits: {value_bytes: 50, deadline: 20m"), ("time: ", "start: latest, headers: read, time: ")
    )
    flow = compile_flow(project, "small", parts(project))
    assert flow.ident == "small@1.0.0"
    assert (flow.limits.deadline_s, flow.limits.retries_s, flow.limits.value_bytes) == (1_200.0, (1.0, 30.0), 50)
    assert (flow.id_column, flow.time_column, flow.reads_headers, flow.start) == ("flight_id", "scheduled_at", True, "latest")
    assert flow.topics.consumed == ("flights.departures", "small.resume", "small.retry.1s", "small.retry.30s")
    assert list(flow.gives[2]) == ["score", "model", "degraded"]
    assert {reason for _, verdict, reason, _ in outcomes(flow, project) if verdict is Verdict.DEAD_LETTER} == {Reason.TOO_LARGE}


def test_with_dedupe_the_second_event_of_an_id_is_filtered(tmp_path: Path) -> None:
    project = small(tmp_path, *ALONE, ("time: scheduled_at", "dedupe: 24h, time: scheduled_at"))
    flow = compile_flow(project, "small", parts(project))
    assert [step.name for step in flow.steps] == ["decode", "dedupe"]
    assert len(flow.gives) == 2
    twice = tmp_path / "twice.ndjson"
    twice.write_text(SAMPLES.read_text().splitlines()[0] + "\n" + SAMPLES.read_text().splitlines()[0])
    spec = check(project, "small").sound()
    judged = asyncio.run(judge(flow, spec, read_samples(twice, spec, project.contracts()[spec.input.contract])))
    assert [(one.verdict, one.reason) for one in judged] == [(Verdict.RESULT, Reason.NONE), (Verdict.FILTERED, Reason.DUPLICATE)]


def test_a_step_with_when_runs_only_where_it_holds(tmp_path: Path) -> None:
    late = '- infer: {when: "dep_delay > 100.0", '
    project = small(tmp_path, ("- infer: {", late), ('when: "score > 0.8"', 'when: "score != null && score > 0.8"'))
    found = outcomes(compile_flow(project, "small", parts(project)), project)
    assert ("UA-856-EWR-20130101T0733", Verdict.RESULT, Reason.NONE, "notify") in found
    assert ("UA-1545-EWR-20130101T0515", Verdict.DEAD_LETTER, Reason.ENCODE_FAILED, "ignore") in found  # the result needs a score


def test_a_bundle_runs_as_the_flow_did_when_the_files_have_changed(tmp_path: Path) -> None:
    project = small(tmp_path)
    then, value = outcomes(compile_flow(project, "small", parts(project)), project), bundle(project, "small").encode()
    changed = small(tmp_path, ("score > 0.8", "score > 0.99"), ("version: 1.0.0", "version: 2.0.0"))
    write(tmp_path, {"models/late/manifest.json": "{}"})
    again = compile_bundle(value, parts(changed))
    assert again.ident == "small@1.0.0"
    write(tmp_path, {"flows/small.yaml": SMALL})
    small(tmp_path)
    assert outcomes(again, project) == then


def test_a_flow_with_mistakes_is_not_compiled(tmp_path: Path) -> None:
    project = small(tmp_path, ("score > 0.8", "scor > 0.8"))
    with pytest.raises(FlowError, match="there is no column `scor`"):
        compile_flow(project, "small", parts(project))


def test_the_shipped_flow_compiles_from_its_bundle() -> None:
    trained()
    project = FolderProject()
    flow = compile_bundle(bundle(project, "departure-delays").encode(), parts(project))
    names = "decode filter-cancelled validate enrich-plane enrich-weather drift policy-departures infer-arrival-delay decide"
    assert [step.name for step in flow.steps] == names.split()
    assert flow.result_type == "flights.DelayDecision"
