"""`weft run`, `weft stop` and `weft lag`: work, its end, and how much of it is left."""

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
    workers: Annotated[int | None, typer.Option(min=1, max=256, help="How many; else one per core, as said above.")] = None,
    until_idle: Annotated[bool, typer.Option("--until-idle", help="End when everything there is has been done.")] = False,
    detach: Annotated[
        bool, typer.Option("--detach", "-d", help="Return as soon as the workers work; they go on in the background.")
    ] = False,
) -> int:
    """Run a flow on this machine, until ctrl-C or `weft stop`: workers are drained then, and nothing is lost or done twice.

    Unless it is told how many, it starts a worker per core, but no more than the input has partitions: one without any would have nothing
    to do. With the local stack's broker on the same cores it starts one less.

    Examples:

      weft run departure-delays

      weft run departure-delays --workers 2 --until-idle

      weft run departure-delays --detach
    """
    from ops.run.held import require_free
    from ops.run.preparing import Asked, prepare
    from ops.run.supervisor import Supervisor

    asked = Asked(load(), flow, workers, until_idle)
    require_free(asked.settings.data_folder, flow)
    line = Line()
    plan = asyncio.run(prepare(asked, line.say))
    if detach:
        return _detached(plan, line)
    line.say(f"{flow}: {_workers(plan)}; logs in {plan.data / 'run' / flow}; ctrl-C, or weft stop {flow}, drains and ends.")
    code = Supervisor(plan, line.say, line.show).run()
    line.end()
    return code


def _detached(plan: Any, line: "Line") -> int:
    from ops.run.background import start

    watching = start(plan, line.show)
    line.clear()
    if watching is None:
        say(f"{plan.flow} has done all there was, and has ended.")
        return Exit.DONE
    waits = "; ".join(["", *watching.reasons()])
    say(f"{plan.flow} runs in the background: {_workers(plan)}, {len(plan.sources)} partitions{waits}")
    say(f"logs: weft logs {plan.flow}, of a worker: weft logs {plan.flow}/0; both in {plan.data / 'run' / plan.flow}")
    say(f"end:  weft stop {plan.flow}")
    return Exit.DONE


def _workers(plan: Any) -> str:
    return f"{plan.workers} worker{'s' if plan.workers > 1 else ''}"


def stop(flow: Name, json: Json = False) -> int:
    """End the run of a flow: its workers finish what is in flight, commit, and end. The local stack goes on.

    Examples:

      weft stop departure-delays

      weft stop departure-delays --json
    """
    from ops.run.runs import Run
    from schemas.errors import FailedError, UsageError

    data = load().data_folder
    run = Run(data, flow)
    if not run.folder.is_dir():
        raise UsageError(f"{flow} was never run from {data}", "weft status shows what runs")
    stopped = run.stop()
    if json:
        as_json({"flow": flow, "running": stopped.running, "drained": stopped.drained, "took_s": round(stopped.took_s, 2)})
    if stopped.running and not stopped.drained:
        why = f"nothing is lost: what was in flight is read again at the next run. Why: weft logs {flow}"
        raise FailedError(f"{flow} has ended, but not every worker drained", why)
    if not json:
        say(f"{flow} is drained and has ended, after {stopped.took_s:.1f} s." if stopped.running else f"{flow} was not running.")
    return Exit.DONE


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

    def clear(self) -> None:
        """Make room for what is printed after it."""
        self._write("\r\x1b[2K" if self._live else "")

    def end(self) -> None:
        """The last word."""
        self._write(("\r\x1b[2K" if self._live else "") + f"{self._last or 'nothing was begun'}; {time.monotonic() - self._began:.0f} s\n")

    def _write(self, text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()


def told(watching: Any) -> str:
    """One line: workers, rate, outcomes, what they wait for."""
    tally, statuses = watching.tally, watching.statuses.values()
    outcomes = ", ".join(f"{count:,} {verdict}" for verdict, count in sorted(tally.verdicts.items(), key=lambda item: -item[1]))
    paused = ["paused: " + status["paused"]["why"] for status in statuses if status["paused"]][:1]
    idle = ["idle"] if statuses and all(status["lane"] and status["lane"]["idle"] for status in statuses) else []
    return " | ".join([f"{len(statuses)} up", f"{tally.per_s:,.0f}/s", outcomes or "nothing yet", *idle, *paused, *watching.reasons()])


def lag(
    flow: Name,
    everything: Annotated[bool, typer.Option("--all", help="Show the partitions of every topic, also where nothing waits.")] = False,
    json: Json = False,
) -> int:
    """Show how far behind a flow is: by partition what is done and where it ends, rows that wait, open reviews.

    Its input is always shown whole; other topics only where something waits in them, unless it's JSON.

    Examples:

      weft lag departure-delays

      weft lag departure-delays --all

      weft lag departure-delays --json
    """
    found = asyncio.run(_lag(flow))
    if json:
        as_json({"flow": flow, "partitions": [_partition(behind) for behind in found.partitions], "reviews": found.reviews})
        return Exit.DONE
    empty = [] if everything else found.empty()
    rows = [_partition(behind) for behind in found.partitions if behind.source.topic not in empty]
    table(list(rows[0]), [["-" if cell is None else cell for cell in row.values()] for row in rows])
    if empty:
        say(f"Nothing waits in {', '.join(empty)}.", "dim")
    left, waiting = found.rows("input", "resume"), found.rows("retry")
    say(f"{left:,} rows to do, {waiting:,} wait for a retry, {sum(found.reviews.values()):,} reviews are open.")
    return Exit.DONE


def _partition(behind: Any) -> dict[str, Any]:
    return {
        "topic": behind.source.topic,
        "partition": behind.source.partition,
        "kind": behind.kind,
        "committed": behind.committed,
        "end": behind.end,
        "rows": behind.rows,
        "exact": behind.exact,
    }


async def _lag(flow: str) -> Any:
    from connectors.kafka.admin import KafkaAdmin
    from connectors.kafka.reader import KafkaReader
    from ops.flow.applied import applied_now, topics_now
    from ops.run.lag import lag as measured
    from ops.stack import services
    from processors.flow.project import FolderProject

    settings = load()
    kafka = services.kafka(settings)
    reader, admin = KafkaReader(kafka), KafkaAdmin(kafka)
    try:
        topics = topics_now(await applied_now(admin, reader), FolderProject(settings.project_folder), flow)
        return await measured(reader, topics, await admin.offsets(flow))
    finally:
        await reader.close()
