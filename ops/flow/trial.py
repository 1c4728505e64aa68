"""One run of `weft flow test`: finds the samples, runs the flow on them, compares, and reports."""

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson
from rich.text import Text

from ops.cli.output import say, table
from ops.flow.events import read_samples
from ops.flow.expected import differences, read_expected
from ops.flow.offline import FixedScore, Judged, judge, parts, read_lookup
from processors.flow.check import check
from processors.flow.compile import compile_flow
from processors.flow.project import FolderProject
from processors.ports import Models
from schemas.errors import UsageError
from schemas.vocabulary import Verdict
from serving.memory import local_models

SENTENCE_CHARACTERS = 120

STYLES: Mapping[Verdict, str] = {
    Verdict.RESULT: "green",
    Verdict.FILTERED: "dim",
    Verdict.DEAD_LETTER: "red",
    Verdict.QUARANTINE: "magenta",
    Verdict.REVIEW: "yellow",
    Verdict.RETRY: "yellow",
}


@dataclass(frozen=True, slots=True)
class Trial:
    """What was asked for; a path that is None stands for what lies beside the flow."""

    project: FolderProject
    flow: str
    events: Path | None
    lookup: Path | None
    score: float | None
    expect: Path | None


async def run_trial(trial: Trial) -> tuple[Sequence[Judged], Sequence[str]]:
    """What became of each sample, and what is not as expected.

    Raises:
        FlowError: the flow has mistakes.
        UsageError: a file can't be read.
    """
    spec = check(trial.project, trial.flow).sound()
    events = trial.events or trial.project.path("flows", f"samples/{trial.flow}.ndjson")
    if events is None:
        raise UsageError(
            f"{trial.flow} has no samples of its own", f"Name a file with --events, or write flows/samples/{trial.flow}.ndjson."
        )
    samples = read_samples(events, spec, trial.project.contracts()[spec.input.contract])
    entries = trial.lookup or trial.project.path("flows", f"samples/{trial.flow}.lookup.json")
    built = parts(trial.project, _models(trial), read_lookup(entries) if entries else {})
    judged = await judge(compile_flow(trial.project, trial.flow, built), spec, samples)
    return judged, differences(judged, read_expected(trial.expect)) if trial.expect else ()


def report(judged: Sequence[Judged], wrong: Sequence[str], json: bool) -> None:
    """Print the verdicts, and what is not as expected."""
    if json:
        sys.stdout.write("".join(orjson.dumps(one.as_json()).decode() + "\n" for one in judged))
    else:
        table(("line", "event", "verdict", "reason", "rule", "decision", "score", "model", "why"), [_row(one) for one in judged])
        counted = Counter(one.verdict for one in judged)
        say(f"\n{len(judged)} events: " + ", ".join(f"{count} {verdict}" for verdict, count in counted.most_common()))
    for sentence in wrong:
        print(f"not as expected: {sentence}", file=sys.stderr)


def _models(trial: Trial) -> Models:
    if trial.score is not None:
        return FixedScore(trial.score)
    return local_models(trial.project)


def _row(one: Judged) -> tuple[object, ...]:
    told = one.as_json()
    score = told.get("score")
    sentence = one.sentence.splitlines()[0] if one.sentence else ""
    return (
        one.line,
        one.id,
        Text(one.verdict.value, style=STYLES.get(one.verdict, "")),
        one.reason.value,
        one.rule,
        told.get("decision", ""),
        "" if score is None else f"{score:.3f}",
        str(told.get("model", "")) + (" (degraded)" if told.get("degraded") else ""),
        sentence if len(sentence) <= SENTENCE_CHARACTERS else sentence[:SENTENCE_CHARACTERS] + "...",
    )
