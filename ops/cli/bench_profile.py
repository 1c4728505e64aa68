"""`weft bench profile`: where a worker's time goes."""

from typing import Annotated

import typer

from ops.cli.output import Json, as_json, console, say, table


def profile_(
    events: Annotated[int, typer.Option(min=10_000, help="How many departures the worker does.")] = 150_000, json: Json = False
) -> None:
    """Show where the time of one worker goes: microseconds per event for each step and phase, from the metrics that it exposes at work.

    It runs the shipped flow on a stack of its own, the model in the worker. Times are elapsed: several batches are on their way at once,
    so fetch, steps and prepare go on beside what follows. The phases from `idle` to `commit` follow one another and are all the time there
    is. CPU is that of the process with all its threads.

    Examples:

      weft bench profile

      weft bench profile --events 50000 --json
    """
    from ops.bench.profile import profile

    found = profile(events, console(stderr=True).print if json else say)
    if json:
        as_json(found.figures())
        return
    table(["what", "us per event", ""], [[name, f"{took_us:.2f}", said] for name, took_us, said in found.rows()])
    say(f"{found.events:,} events, {1e6 / found.wall_us:,.0f} a second: {found.wall_us:.1f} us per event, {found.cpu_us:.1f} us of CPU")
