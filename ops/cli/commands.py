"""The table of commands. A row costs nothing until its command is used: its module is imported only then."""

import re
import shlex
from collections.abc import Sequence
from typing import NamedTuple


class Row(NamedTuple):
    """One command: what the user types, the function or Typer application behind it (module:name), one line of help, the panel."""

    name: str
    target: str
    help: str
    panel: str


STACK = "The local stack"
DAILY = "Day by day"

COMMANDS = (
    Row("demo", "ops.cli.demo:demo", "A year of real flights through the whole fabric, and the proof.", STACK),
    Row("up", "ops.cli.stack:up", "Start Kafka, Redis and what else this project needs on this machine.", STACK),
    Row("down", "ops.cli.stack:down", "End it, with every process of it; the data stays.", STACK),
    Row("status", "ops.cli.stack:status", "Show what runs, where, since when.", STACK),
    Row("logs", "ops.cli.stack:logs", "Show what a part of the stack, or a flow, logged.", STACK),
    Row("doctor", "ops.cli.doctor:doctor", "Find what is missing, and say what to do.", STACK),
    Row("config", "ops.cli.config:app", "Show every setting and where it comes from, and check them.", STACK),
    Row("run", "ops.cli.run:run", "Run a flow on this machine.", "Flows"),
    Row("stop", "ops.cli.run:stop", "End the run of a flow in order; nothing is lost.", "Flows"),
    Row("lag", "ops.cli.run:lag", "Show how far behind a flow is.", "Flows"),
    Row("init", "ops.cli.init:init", "Make a project folder of your own, from a CSV file or an example.", "Flows"),
    Row("disk", "ops.cli.disk:disk", "Show how much disk a flow's topics take, and for how long.", "Flows"),
    Row("top", "ops.cli.top:top", "Watch how flows are doing right now.", "Flows"),
    Row("flow", "ops.cli.flow:app", "Check, list, show, test and apply flows.", "Flows"),
    Row("schema", "ops.cli.schema:app", "List, show, check, keep and register the contracts of events.", "Flows"),
    Row("produce", "ops.cli.produce:produce", "Send events to a flow's input topic.", DAILY),
    Row("results", "ops.cli.results:results", "Show what a flow decided.", DAILY),
    Row("report", "ops.cli.report:report", "Write a page with plots about what became of the events.", DAILY),
    Row("explain", "ops.cli.explain:explain", "Show how one decision came about.", DAILY),
    Row("review", "ops.cli.review:app", "List, show and decide what waits for a person.", DAILY),
    Row("dlq", "ops.cli.dlq:app", "List, show and redrive dead letters.", DAILY),
    Row("sink", "ops.cli.sink:app", "Hand a flow's results to another system, each once.", DAILY),
    Row("plugin", "ops.cli.plugin:app", "List steps and sinks of your own, and try them by the laws.", "Flows"),
    Row("models", "ops.cli.models:app", "Train, list and explain the models that flows ask.", "Models"),
    Row("drift", "ops.cli.drift:app", "Make the reference that drift is measured against.", "Models"),
    Row("watch", "ops.cli.watch:app", "Show what expectations on samples of live events came to.", "Models"),
    Row("quality", "ops.cli.quality:app", "Hold past events against a suite of expectations.", "Models"),
    Row("audit", "ops.cli.audit:app", "Prove the promise; make and check receipts.", "Proof"),
    Row("telemetry", "ops.cli.telemetry:app", "Dashboard, alert rules and metrics for Prometheus and Grafana.", "Figures"),
    Row("bench", "ops.cli.bench:app", "Measure Weft, and others that do the same job.", "Figures"),
)

_TYPED = re.compile(rf"\bweft (?=(?:{'|'.join(row.name for row in COMMANDS)})\b)")


def as_typed(text: str, options: Sequence[str]) -> str:
    """The text, with the options that each command of `weft` in it must be typed with."""
    return _TYPED.sub(lambda _: f"weft {shlex.join(options)} ", text) if options else text
