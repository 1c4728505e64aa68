"""`weft quality`: hold past events against a suite of Great Expectations."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from ops.cli.output import Json, as_json, bars, say, table
from ops.cli.times import moment
from schemas.vocabulary import Exit
from streams.settings import Settings, load

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Hold past events against a suite of Great Expectations.")


@app.callback()
def group() -> None:
    """Hold past events against a suite of Great Expectations."""


@app.command(
    epilog="Examples:\n\n  weft quality run departure-delays --suite departures --from 2013-02-01 --to 2013-03-01"
    "\n\n  weft quality run departure-delays --suite departures --sample 0.1 --json"
)
def run(
    flow: Annotated[str, typer.Argument(metavar="FLOW", help="The flow's name.")],
    suite: Annotated[str | None, typer.Option(help="The suite: suites/<name>.json; else that of the flow's watch step.")] = None,
    start: Annotated[
        str | None, typer.Option("--from", help="First event time that counts, ISO 8601, UTC unless it says otherwise.")
    ] = None,
    end: Annotated[str | None, typer.Option("--to", help="First event time that counts no more.")] = None,
    topic: Annotated[str | None, typer.Option(help="The flow's result topic, or another one with its events; else its input.")] = None,
    sample: Annotated[float, typer.Option(min=0.0001, max=1.0, help="The share of the events that is judged.")] = 1.0,
    json: Json = False,
) -> int:
    """Read a topic, decode it as the flow does, and hold what counts against the suite. Exit code 1 where an expectation does not hold."""
    from ops.quality import past
    from ops.reference import Stretch

    settings = load()
    asked = past.Asked(flow, suite, topic, Stretch(moment(start, "--from"), moment(end, "--to")), sample)
    asks, found, judgement = _judged(settings, asked)
    facts = past.facts(asked, asks, found)
    page = _page(settings, past.told(facts), judgement, flow)
    if json:
        as_json({**facts, "holds": not judgement.failed, **judgement.as_json(), "page": str(page)})
    else:
        _print(past.told(facts), judgement, page)
    return Exit.FAILED if judgement.failed else Exit.DONE


def _judged(settings: Settings, asked: Any) -> tuple[Any, Any, Any]:
    from ops.quality import past
    from streams.registry import project_of

    asks = past.question(asked, project_of(settings))
    with bars() as show:
        found = asyncio.run(_gathered(settings, asked, asks, lambda done, total: show(f"reading {asks.topic}", done, total)))
        show("judging with Great Expectations", 0, 1)
        judgement = past.judged(asks, found)
        show("judging with Great Expectations", 1, 1)
    return asks, found, judgement


async def _gathered(settings: Settings, asked: Any, asks: Any, show: Any) -> Any:
    from connectors.kafka.reader import KafkaReader
    from ops.quality import past
    from ops.stack import services

    reader = KafkaReader(services.kafka(settings))
    try:
        return await past.gather(asked, asks, reader, show)
    finally:
        await reader.close()


def _page(settings: Settings, facts: Any, judgement: Any, flow: str) -> Path:
    from ops.quality.day import Expected, folder
    from ops.quality.page import past_page
    from ops.whole import write

    now = datetime.now(UTC)
    found = []
    for finding in judgement.findings:
        one = Expected(type=finding.type, column=finding.column, sentence=finding.sentence, severity=finding.severity)
        one.add(finding, round(now.timestamp() * 1000))
        found.append(one)
    at = folder(settings.data_folder, flow) / f"check-{now.strftime('%Y%m%dT%H%M%SZ')}.html"
    return write(at, past_page(f"Quality of {flow}: {judgement.suite}", facts, found))


def _print(facts: Any, judgement: Any, page: Path) -> None:
    table(("", ""), facts)
    say("")
    rows = [
        (
            Text("holds", style="green") if finding.holds else Text("fails", style="red"),
            finding.severity,
            finding.sentence,
            f"could not be evaluated: {finding.error}" if finding.error else finding.observed,
        )
        for finding in judgement.findings
    ]
    table(("", "severity", "expected", "found"), rows)
    failed = len(judgement.failed)
    say(f"\n{failed} of {len(rows)} expectations do not hold." if failed else f"\nAll {len(rows)} expectations hold.")
    say(f"page: {page}")
