"""`weft run` and `weft lag`: work, and how much of it is left."""

import asyncio
import sys
import time
from typing import Annotated, Any

import typer

from ops.cli.output import Json, as_json, console, say, table
from schemas.vocabulary import Exit
from streams.settings import load

Name = Annotated[str, typer.Argument(metavar="FLOW", help="The flow's name.")]


def run(
    flow: Name,
    workers: Annotated[int | None, typer.Option(min=1, max=256, help="How many; else one per core less one.")] = None,
    until_idle: Annotated[bool, typer.Option("--until-idle", help="End when everything there is has been done.")] = False,
) -> int:
    """Run a flow on this machine, until ctrl-C: workers are drained then, and nothing is lost or done twice.

    Examples:

      weft run departure-delays

      weft run departure-delays --workers 2 --until-idle
    """
    from ops.run.preparing import Asked, default_workers, prepare
    from ops.run.supervisor import Supervisor

    asked = Asked(load(), flow, workers or default_workers(), until_idle)
    line = Line()
    plan = asyncio.run(prepare(asked, line.say))
    line.say(f"{flow}: {plan.workers} worker{'s' if plan.workers > 1 else ''}; logs in {plan.data / 'run' / flow}; ctrl-C drains and ends.")
    code = Supervisor(plan, line.say, line.show).run()
    line.end()
    return code


class Line:
    """A line on a terminal that shows how the workers stand; sentences go above it. Elsewhere only sentences."""

    def __init__(self) -> None:
        self._live = sys.stderr.isatty()
        self._began = time.monotonic()
        self._last = ""

    def say(self, sentence: str) -> None:
        """A sentence of its own."""
        self._write("\r\x1b[2K" if self._live else "")
        self._write(sentence + "\n")

    def show(self, watching: Any) -> None:
        """How it goes."""
        self._last = told(watching)
        if self._live:
            self._write(f"\r\x1b[2K{self._last}"[: console(stderr=True).width])

    def end(self) -> None:
        """The last word."""
        self._write(("\r\x1b[2K" if self._live else "") + f"{self._last}; {time.monotonic() - self._began:.0f} s\n")

    def _write(self, text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()


def told(watching: Any) -> str:
    """One line: workers, rate, outcomes, what they wait for."""
    tally, statuses = watching.tally, watching.statuses.values()
    outcomes = ", ".join(f"{count:,} {verdict}" for verdict, count in sorted(tally.verdicts.items(), key=lambda item: -item[1]))
    reasons = sorted({reason for status in statuses for reason in status["reasons"]})
    paused = ["paused: " + status["paused"]["why"] for status in statuses if status["paused"]][:1]
    idle = ["idle"] if statuses and all(status["lane"] and status["lane"]["idle"] for status in statuses) else []
    return " | ".join([f"{len(statuses)} up", f"{tally.per_s:,.0f}/s", outcomes or "nothing yet", *idle, *paused, *reasons])


def lag(flow: Name, json: Json = False) -> int:
    """Show how far behind a flow is: by partition what is done and where it ends, rows that wait, open reviews.

    Examples:

      weft lag departure-delays

      weft lag departure-delays --json
    """
    found = asyncio.run(_lag(flow))
    rows = [
        {
            "topic": behind.source.topic,
            "partition": behind.source.partition,
            "kind": behind.kind,
            "committed": behind.committed,
            "end": behind.end,
            "rows": behind.rows,
            "exact": behind.exact,
        }
        for behind in found.partitions
    ]
    if json:
        as_json({"flow": flow, "partitions": rows, "reviews": found.reviews})
        return Exit.DONE
    table(list(rows[0]), [["-" if cell is None else cell for cell in row.values()] for row in rows])
    left, waiting = found.rows("input", "resume"), found.rows("retry")
    say(f"{left:,} rows to do, {waiting:,} wait for a retry, {sum(found.reviews.values()):,} reviews are open.")
    return Exit.DONE


async def _lag(flow: str) -> Any:
    from connectors.kafka.admin import KafkaAdmin
    from connectors.kafka.reader import KafkaReader
    from connectors.kafka.settings import KafkaSettings
    from ops.run.lag import lag as measured
    from ops.run.preparing import addresses, applied_now, topics_now
    from processors.flow.project import FolderProject

    settings = load()
    kafka = KafkaSettings(addresses(settings)["WEFT_BOOTSTRAP"])
    reader, admin = KafkaReader(kafka), KafkaAdmin(kafka)
    try:
        topics = topics_now(await applied_now(admin, reader), FolderProject(settings.project_folder), flow)
        return await measured(reader, topics, await admin.offsets(flow))
    finally:
        await reader.close()
