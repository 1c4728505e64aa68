"""`weft bench race`: Weft against others that do the same job, in one run."""

from typing import Annotated

import typer

from ops.cli.output import Json, as_json, console, say


def race_(
    events: Annotated[int, typer.Option(min=10_000, help="How many departures each does in each round.")] = 336_776,
    rounds: Annotated[int, typer.Option(min=1, max=50)] = 3,
    only: Annotated[str, typer.Option(help="Who races: names from above, with commas between.")] = "loop,weft",
    json: Json = False,
) -> None:
    """Race one worker against others that do the same job: the same headers, ids and transaction.

    `loop` is a loop on confluent-kafka and fastavro, written by hand, row by row. `weft` is a worker as it ships, read every five seconds
    as by Prometheus; its model is in the worker itself. `weft-serve` asks the model on Ray Serve. `weft-unmeasured` has no metrics and
    no spans.

    The last lines are ratios of speeds, the median of all rounds: to the loop's where it races, else to that of the first who is named.

    Examples:

      weft bench race

      weft bench race --only loop,weft,weft-serve --events 100000 --rounds 1 --json

      weft bench race --only weft-unmeasured,weft --rounds 7
    """
    from ops.bench.contenders import chosen
    from ops.bench.race import race

    contenders = chosen([name.strip() for name in only.split(",")])
    outcome = race(events, rounds, contenders, console(stderr=True).print if json else say)
    if json:
        as_json(outcome.figures())
        return
    base = contenders[outcome.base].title
    for name, contender in contenders.items():
        if name != outcome.base:
            say(f"{contender.title} to {base}: ratio {outcome.ratio(name):.3f}, of CPU per event {outcome.cpu_ratio(name):.3f}")
