"""`weft bench`: benchmarks, each on a stack of its own. One is a file ops/cli/bench_<name>.py and a line here."""

import typer

from ops.cli import bench_latency, bench_profile, bench_race, bench_scale

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Measure Weft, and others that do the same job.")

app.command("race")(bench_race.race_)
app.command("profile")(bench_profile.profile_)
app.command("latency")(bench_latency.latency_)
app.command("scale")(bench_scale.scale_)


@app.callback()
def bench() -> None:
    """Measure Weft, and others that do the same job. Each benchmark has a stack of its own, which is gone afterwards."""
