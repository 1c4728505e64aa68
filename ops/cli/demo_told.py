"""What the demo says at the end: the summary, the hostile records, drift by month, the proof, a receipt, where to look next."""

import shlex
from collections.abc import Mapping, Sequence

from rich.text import Text

from ops.cli import audit, main
from ops.cli.commands import as_typed
from ops.cli.output import say, table
from ops.demo.acts import Told
from ops.demo.fates import Fate
from ops.demo.place import FLOW, Place
from ops.demo.tail import Alert
from schemas.vocabulary import Exit

MEANS = {
    "result": "went through every step; the decision is on flights.delay-decisions",
    "filtered": "not for this flow: cancelled, a ferry flight, a tombstone",
    "review": "waits for a person",
    "dead-letter": "could not be processed; the original is kept, with the reason",
    "quarantine": "could be processed, but may not be",
}
BAR = 30
FLIGHT = "UA-1545-EWR-20130101T0515"  # the first of the year


def summary(told: Told, workers: int) -> Exit:
    """Everything; the exit code."""
    _outcomes(told, workers)
    drift(told.tail.alerts)
    sound = hostile(told.fates)
    say("\nThe proof", "bold")
    audit.show(told.report)
    checked = _receipt(told)
    _page(told)
    if not told.report.proven:
        return Exit.NOT_PROVEN
    return Exit.DONE if sound and checked == Exit.DONE else Exit.FAILED


def _outcomes(told: Told, workers: int) -> None:
    verdicts, n = told.report.verdicts, told.report.counts
    waiting = f"; {n['waiting']:,} wait for a person" if n["waiting"] else ""
    say(
        f"\n{n['events']:,} events: {n['ended']:,} have ended{', each in exactly one outcome' if told.report.proven else ''}{waiting}",
        "bold",
    )
    table(("outcome", "events", ""), [(name, f"{count:,}", MEANS.get(name, "")) for name, count in verdicts.most_common()])
    rate = f"{told.rows_s:,.0f} events/s, " if told.rows_s else ""
    who = f"{workers} worker{'s' if workers > 1 else ''} of at most {told.memory_bytes / 1e6:.0f} MB"
    say(f"{rate}exactly once, with a model's answer for each result; {who}.")


def drift(alerts: Sequence[Alert]) -> None:
    """By month of event time."""
    say("\nDrift: windows of 2,000 departures that differ from January, by month", "bold")
    if not alerts:
        say("none does")
        return
    columns = sorted({alert.column for alert in alerts})
    most = max(sum(alert.month == month for alert in alerts) for month in {alert.month for alert in alerts})
    rows = []
    for month in sorted({alert.month for alert in alerts}):
        of = [alert for alert in alerts if alert.month == month]
        cells = [_cell([alert.psi for alert in of if alert.column == column]) for column in columns]
        rows.append((month, *cells, "#" * max(1, round(len(of) / most * BAR))))
    table(("month", *columns, "alerts"), rows)


def _cell(psi: Sequence[float]) -> str:
    return f"{len(psi)} (PSI up to {max(psi):.2f})" if psi else ""


def hostile(fates: Sequence[Fate]) -> bool:
    """The hostile records; whether each ended as it had to."""
    say("\nRecords that are meant to be wrong", "bold")
    rows = [
        (
            _mark(one.sound),
            one.label,
            one.expected,
            one.found if one.found != one.expected else "the same",
            ", ".join(one.records) or "no record",
        )
        for one in fates
    ]
    table(("", "record", "must end as", "ended as", "outcome stands at"), rows)
    wrong = sum(not one.sound for one in fates)
    say(f"{wrong} did not end as they had to." if wrong else f"All {len(fates)} ended as they had to.", "bold red" if wrong else "green")
    return not wrong


def _mark(sound: bool) -> Text:
    return Text("ok", "green") if sound else Text("WRONG", "bold red")


def _receipt(told: Told) -> int:
    """One receipt, checked by the very command that is printed."""
    made = told.receipt
    say(f"\nA receipt of one decision: {made.event}, {made.decision}", "bold")
    say(f"{made.file.stat().st_size:,} bytes, for anyone to check offline, without Weft's topics:")
    command = ["audit", "check", str(made.file), "--key", str(made.keys)]
    say(f"  $ weft {shlex.join(command)}", "cyan")
    return main.run(command)


def _page(told: Told) -> None:
    say("\nThe report: outcomes, drift, quality, latency, models and reviews over time, with plots", "bold")
    say(f"{told.page.stat().st_size / 1000:.0f} kB, for any browser, offline:")
    say(f"  {told.page.as_uri()}", "cyan")


def times(by_act: Mapping[str, float], total_s: float) -> None:
    """How long each act took."""
    say("\nHow long it took", "bold")
    table(("act", "seconds"), [(name, f"{seconds:.1f}") for name, seconds in [*by_act.items(), ("all of it", total_s)]])


def next_steps(place: Place, keep: bool) -> None:
    """Where to look next."""
    say("\nWhere to look next", "bold")
    if keep:
        say(as_typed("The demo's stack runs on. weft down --wipe ends it and deletes its data.", place.options))
        for line in (f"results {FLOW}", f"dlq list {FLOW}", f"review list {FLOW}", f"explain {FLOW} {FLIGHT}"):
            say(as_typed(f"  weft {line}", place.options))
        return
    say(f"The demo's stack is ended; report, receipt and keys stay in {place.proof}. For a stack that stays:")
    say(f"  weft up && weft flow apply {FLOW} --yes && weft produce {FLOW} --limit 20000 --hostile && weft run {FLOW}")
    say("  README.md says what else there is.")
