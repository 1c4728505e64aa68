"""`weft bench latency`: how long after an event its result is there, at several rates."""

from pathlib import Path
from typing import Annotated, Any

import typer

from ops.cli.bench_race import machine
from ops.cli.output import Json, as_json, console, json_text, listing, say


def latency_(
    rates: Annotated[str, typer.Option(help="Events per second, with commas between.")] = "100,500,2000,10000",
    seconds: Annotated[float, typer.Option(min=1.0, help="How long each rate is measured.")] = 20.0,
    warm: Annotated[float, typer.Option(min=0.0, help="How long each rate is sent before that, in seconds.")] = 5.0,
    rounds: Annotated[int, typer.Option(min=1, max=50)] = 2,
    only: Annotated[str, typer.Option(help="Who is measured: names from above, with commas between.")] = "loop,weft,weft-serve",
    out: Annotated[Path | None, typer.Option(help="A page in Markdown to write the table into, with JSON beside it.")] = None,
    json: Json = False,
) -> None:
    """Measure event to result under a load that does not wait (open loop), by percentiles.

    Events are due at a fixed rate, whatever becomes of those before; the time of each counts from the moment at which it was due to the
    moment at which a reader of committed records has its result. One contender runs at a time, on 4 partitions.

    `loop` is a loop on confluent-kafka written by hand, which takes what is there. `weft` is a worker as it ships, its model in the worker
    itself. `weft-serve` asks the model on Ray Serve.

    Examples:

      weft bench latency

      weft bench latency --only loop,weft --rates 500 --rounds 5 --json
    """
    from ops.bench.latency import Load, measure

    load = Load([float(rate) for rate in rates.split(",")], seconds, warm)
    found = measure(only.split(","), load, rounds, console(stderr=True).print if json else say)
    if out is not None:
        _write(out, found, machine(seconds=seconds, rounds=rounds))
    if json:
        as_json(found.as_json())
    else:
        listing(found.table(), False, "")


def _write(page: Path, found: Any, told: dict[str, object]) -> None:
    from ops.bench.pages import listed, put

    page.with_suffix(".latency.json").write_text(json_text({"machine": told, **found.as_json()}))
    put(page, "latency", f"{', '.join(f'{name} {value}' for name, value in told.items())}.\n\n{listed(found.table())}")
