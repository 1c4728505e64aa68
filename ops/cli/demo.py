"""`weft demo`: the promise, kept on a year of real flights, and proven."""

import contextlib
import time
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any, Self

import typer

from ops.cli.commands import as_typed
from ops.cli.output import console, say
from schemas.errors import WeftError
from schemas.vocabulary import Exit
from streams.settings import load

PIPE_S = 5.0  # between two lines of progress where there is no terminal
SPARKS = " ▁▂▃▄▅▆▇█"


def demo(
    limit: Annotated[int | None, typer.Option(min=1, help="Only so many departures; else the whole year, 336,776.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, max=64, help="How many; else one per core less one.")] = None,
    serve: Annotated[bool, typer.Option("--serve/--no-serve", help="Models on Ray Serve, or in the workers themselves.")] = True,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the demo's stack running, to look around.")] = False,
) -> int:
    """Send a year of real flights, and records that are meant to be wrong, through the whole fabric; then prove what became of each.

    It runs on a stack of its own (.weft/demo), begun anew each time. Exit code 1 where a hostile record did not end as it had to, 4 where
    the promise is not proven.

    Examples:

      weft demo --limit 20000 --no-serve

      weft demo --keep
    """
    return _played(limit, workers, serve, keep)


def _played(limit: int | None, workers: int | None, serve: bool, keep: bool) -> int:
    began = time.monotonic()
    from ops.cli import demo_told
    from ops.demo.acts import Demo
    from ops.demo.after import beside
    from ops.demo.place import Place, alone
    from ops.run.preparing import default_workers

    place, code = Place.of(load(), serve), Exit.FAILED
    with beside(place), alone(place), Stage() as stage:
        played, left = Demo(place, stage, workers or default_workers(place.settings), partial(_train, stage), _drawn, limit), list[str]()
        try:
            told = played.run()
            stage.clear()
            code = demo_told.summary(told, played.workers)
        except WeftError as error:
            error.hint = as_typed(error.hint, place.options)  # it means the demo's stack
            raise
        finally:
            keep = keep and code == Exit.DONE
            left = [] if keep else played.end(wipe=code == Exit.DONE)
            stage.clear()
            if code != Exit.DONE:
                say(f"The stack is ended; its data and logs stay in {place.settings.data_folder} until the next demo.")
    demo_told.times(played.times, time.monotonic() - began)
    demo_told.next_steps(place, keep)
    for one in left:
        say(f"still running: {one}", "bold red")
    return Exit.FAILED if left else code


def _train(stage: "Stage", names: Sequence[str]) -> None:
    from processors.flow.project import BUILT_IN
    from serving.training import learners, train

    train.train([learners.LEARNERS[name] for name in names], BUILT_IN["models"], lambda what: stage.progress(what, 0, 1))


def _drawn(figures: Any, file: Path) -> Path:
    from ops.report.files import written

    return written(figures, file)


class Stage:
    """Shows how it goes: a line that is written over on a terminal, one every few seconds elsewhere."""

    def __init__(self) -> None:
        self._out = console(stderr=True)
        self._said_s = 0.0
        self._last = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.clear()

    def act(self, title: str) -> None:
        """See Teller."""
        self.say(f"-- {title}")

    def say(self, sentence: str) -> None:
        """See Teller."""
        self.clear()
        self._write(sentence + "\n")

    def progress(self, what: str, done: int, total: int) -> None:
        """See Teller."""
        self._over(f"   {what}" + (f" {done:,} of {total:,}" if total > 1 else ""))

    def live(self, watching: Any, tail: Any, total: int) -> None:
        """See Teller."""
        tally = watching.tally
        outcomes = ", ".join(f"{verdict} {count:,}" for verdict, count in tally.verdicts.most_common())
        parts = [f"{tally.per_s:,.0f} events/s", outcomes or "starting", f"lag {max(0, total - tail.done):,}"]
        self._over("   " + " | ".join(parts + ([f"drift {sparks(tail.alerts)}"] if tail.alerts else [])))

    def clear(self) -> None:
        """Nothing of the moving line stays."""
        if self._out.is_terminal and self._last:
            self._write("\r\x1b[2K")
        self._last = ""

    def _over(self, line: str) -> None:
        if self._out.is_terminal:
            self._last = line
            self._write("\r\x1b[2K" + line[: self._out.width - 1])
        elif time.monotonic() - self._said_s >= PIPE_S:
            self._said_s = time.monotonic()
            self._write(line + "\n")

    def _write(self, text: str) -> None:
        with contextlib.suppress(OSError):  # nobody reads it any more: what was begun must be ended all the same
            self._out.file.write(text)
            self._out.file.flush()


def sparks(alerts: Any) -> str:
    """The alerts by month of event time, January first, as small bars."""
    counts = Counter(int(alert.month[5:]) for alert in alerts if alert.month[5:].isdigit())
    most = max(counts.values(), default=1)
    return "".join(SPARKS[round(counts[month] / most * (len(SPARKS) - 1))] for month in range(1, 13))
