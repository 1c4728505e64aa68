"""`weft bench-lane`: the lane against a loop written by hand, in one run."""

from typing import Annotated

import typer

from ops.cli.output import Json, as_json, console, say


def bench_lane(
    events: Annotated[int, typer.Option(min=10_000, help="How many departures each does in each round.")] = 336_776,
    rounds: Annotated[int, typer.Option(min=1, max=50)] = 3,
    json: Json = False,
) -> None:
    """Race one worker against a hand-written confluent-kafka loop that does the same job row by row.

    Same headers, ids and transaction. Both run without the call to Ray Serve. The last line is the ratio of their speeds,
    the median of all rounds.

    Examples:

      weft bench-lane

      weft bench-lane --events 100000 --rounds 1 --json
    """
    from ops.bench.race import race

    outcome = race(events, rounds, console(stderr=True).print if json else say)
    if json:
        laps = [
            {"name": lap.name, "round": lap.turn, "events_s": lap.events_s, "cpu_us": lap.cpu_us, "peak_bytes": lap.peak_bytes}
            for lap in outcome.laps
        ]
        as_json({"events": outcome.events, "laps": laps, "ratios": outcome.ratios, "ratio": outcome.ratio})
    else:
        say(f"ratio {outcome.ratio:.2f}")
