"""`weft bench race`: Weft against others that do the same job, in one run."""

import os
import platform
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from ops.cli.output import Json, as_json, bars, console, say, table
from schemas.vocabulary import Exit


def race_(
    only: Annotated[str | None, typer.Option(help="Who races: names from above, with commas between; else all but the last two.")] = None,
    events: Annotated[int, typer.Option(min=1_000, help="How many departures each does in each round; who is slow, a fifth.")] = 400_000,
    rounds: Annotated[int, typer.Option(min=1, max=50)] = 5,
    kills: Annotated[bool, typer.Option("--kills/--no-kills", help="Then kill each once in mid-run.")] = True,
    out: Annotated[Path | None, typer.Option(help="A page in Markdown to write the figures into, with JSON and a plot beside it.")] = None,
    json: Json = False,
) -> int:
    """Race Weft against others that do the same job: the same records, headers and ids, and a transaction where they have one.

    loop: a loop on confluent-kafka and fastavro by hand, row by row. columnar: an expert's, on Arrow. weft: a worker as it ships, read
    every five seconds as by Prometheus, its model in the worker; weft-at-least-once: without transactions. faust, faust-take, quix,
    quix-exactly-once, bytewax, bytewax-batched: as their documentation does it, in environments of their own. weft-serve asks the model
    on Ray Serve. weft-unmeasured has no metrics and no spans.

    Outcomes are counted in the topics. Ratios are of speeds in the same round, the median of all: to the loop's where it races, else to
    the first's. The exit code is 1 if somebody could not do the whole job or outcomes are wrong, never for being slow.

    Examples:

      weft bench race

      weft bench race --only loop,weft,weft-serve --events 100000 --rounds 1 --no-kills --json

      weft bench race --only weft-unmeasured,weft --rounds 7 --no-kills
    """
    from ops.bench.contenders import USUAL, chosen
    from ops.bench.pages import write
    from ops.bench.race import Asked, Race

    contenders = chosen([name.strip() for name in only.split(",")] if only else USUAL)
    with bars() as progress:
        asked = Asked(contenders, events, rounds, tuple(contenders if kills else ()))
        outcome = Race(asked, console(stderr=True).print if json else say, progress).run()
    if out is not None:
        write(out, outcome, machine(events=f"{events:,}", rounds=rounds))
    as_json(outcome.figures()) if json else _told(outcome)
    return Exit.DONE if outcome.sound() else Exit.FAILED


def _told(outcome: Any) -> None:
    from ops.bench.pages import HEAD, cells, remarks

    table(HEAD, [cells(row) for row in outcome.rows()])
    for remark in remarks(outcome):
        say(remark)


def machine(**told: object) -> dict[str, object]:
    """What a reader must know of what was measured, and where."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 30
    return {
        **told,
        "cores": os.cpu_count() or 0,
        "memory": f"{memory} GiB",
        "Python": platform.python_version(),
        "on": time.strftime("%Y-%m-%d", time.gmtime()),
    }
