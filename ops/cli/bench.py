"""`weft bench-lane`: the lane against a loop written by hand, in one run."""

from typing import Annotated

import typer

from ops.cli.output import Json, as_json, console, say


def bench_lane(
    events: Annotated[int, typer.Option(min=10_000, help="How many departures each does in each round.")] = 336_776,
    rounds: Annotated[int, typer.Option(min=1, max=50)] = 3,
    serve: Annotated[bool, typer.Option("--serve", help="Also one worker that asks its model on Ray Serve.")] = False,
    telemetry: Annotated[
        bool, typer.Option("--telemetry", help="Race a worker with its metrics and spans against one without, not against the loop.")
    ] = False,
    json: Json = False,
) -> None:
    """Race one worker against a hand-written confluent-kafka loop that does the same job row by row.

    Same headers, ids and transaction. Both run without the call to Ray Serve; --serve adds a worker that makes it. The last line is the
    ratio of the first two speeds, the median of all rounds.

    With --telemetry two workers race: one as it ships, read every five seconds as by Prometheus, and one without metrics and spans.

    Examples:

      weft bench-lane

      weft bench-lane --serve --events 100000 --rounds 1 --json

      weft bench-lane --telemetry --rounds 7
    """
    from ops.bench.contenders import Handmade, Weft
    from ops.bench.race import race

    served, other = Weft(served=True), Weft(measured=False) if telemetry else Handmade()
    outcome = race(events, rounds, [other, Weft(), *([served] if serve else [])], console(stderr=True).print if json else say)
    if json:
        as_json(outcome.figures(Weft(), other, served if serve else None))
        return
    if telemetry:
        say(f"CPU per event: ratio {outcome.cpu_ratio(Weft(), other):.3f}")
    if serve:
        say(f"with Serve: ratio {outcome.ratio(served, other):.2f}")
    say(f"ratio {outcome.ratio(Weft(), other):.{3 if telemetry else 2}f}")
