"""`weft bench scale`: more workers, more partitions, more events."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from ops.cli.bench_race import machine
from ops.cli.output import Json, as_json, console, json_text, listing, say


def scale_(
    only: Annotated[
        str, typer.Option(help="Which parts: names from above, with commas between.")
    ] = "workers,think,partitions,long,backlog,proof",
    events: Annotated[int, typer.Option(min=10_000, help="Of the longest part; the others do a tenth of it or less.")] = 10_000_000,
    rounds: Annotated[int, typer.Option(min=1, max=20, help="Of the part `workers`.")] = 1,
    out: Annotated[Path | None, typer.Option(help="A page in Markdown to write tables into, with JSON and a plot beside it.")] = None,
    json: Json = False,
) -> None:
    """Measure how Weft grows. A backlog appears at once, and processes that wait for it drain it.

    `workers`: one and two processes, Weft's and the hand-written loop's. `think`: 1 to 8 workers whose model takes 0.2 ms a row, so that
    they wait and the cores do not. `partitions`: one process on 1 to 64. `long`: the year again and again, speed and memory by stretches.
    `backlog`: from the start of a worker to the end of what has piled up. `proof`: with `long`, what it takes to verify it, and a leaf's
    bytes.

    Everything lies in a temporary folder, which is gone afterwards; each part says beforehand how much disk it needs.

    Examples:

      weft bench scale

      weft bench scale --only workers,partitions --events 2000000 --json
    """
    from ops.bench.scale import Plan, scale

    found = scale(only.split(","), Plan(events, rounds), console(stderr=True).print if json else say)
    if out is not None:
        _write(out, found, machine(rounds=rounds))
    if json:
        as_json(found)
        return
    for part, rows in found.items():
        say(f"\n{part}", "bold")
        listing(rows, False, "")


def _write(page: Path, found: Mapping[str, Any], told: dict[str, object]) -> None:
    """Each part between marks of its own, so that one may be measured again alone."""
    from ops.bench.pages import listed, put
    from ops.bench.plotted import long_run

    where = ", ".join(f"{name} {value}" for name, value in told.items())
    for part, rows in found.items():
        page.with_suffix(f".{part}.json").write_text(json_text({"machine": told, part: rows}))
        plot = page.with_suffix(".long.svg")
        if part == "long":
            plot.write_text(long_run(rows))
        put(page, f"scale-{part}", f"{where}.\n\n{listed(rows)}" + (f"\n\n![a long run]({plot.name})" if part == "long" else ""))
