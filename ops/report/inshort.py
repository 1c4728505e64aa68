"""The report in short: what a person should know first, and what asks for a look."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple


class Line(NamedTuple):
    """One sentence."""

    look: bool  # somebody should look at it
    sentence: str
    section: str  # where the page tells more


def in_short(figures: Mapping[str, Any]) -> list[Line]:
    """The sentences, those that ask for a look in front."""
    lines = [*_outcomes(figures), *_drift(figures), *_expected(figures), *_models(figures), *_reviews(figures), *_ledger(figures)]
    return sorted(lines, key=lambda line: not line.look)


def _outcomes(figures: Mapping[str, Any]) -> Iterator[Line]:
    outcomes = figures["outcomes"]
    events, waiting = outcomes["events"], outcomes["waiting"]
    waits = f"{waiting:,} wait{'s' if waiting == 1 else ''}" if waiting else "none waits"
    yield Line(False, f"{events:,} events came in, {outcomes['ended']:,} have ended, {waits}.", "outcomes")
    letters = sum(kind["count"] for kind in outcomes["kinds"] if kind["verdict"] == "dead-letter")
    if letters:
        share = letters / max(1, events)
        often = max((kind for kind in outcomes["kinds"] if kind["verdict"] == "dead-letter"), key=lambda kind: kind["count"])
        yield Line(
            share > 0.01,
            f"{_many(letters, 'dead letter')}; the most frequent reason is {often['reason']} ({often['count']:,}).",
            "outcomes",
        )


def _drift(figures: Mapping[str, Any]) -> Iterator[Line]:
    drift = figures["drift"]
    for column in drift["columns"]:
        moved = [at for at, flagged in zip(drift["at"], column["drift"], strict=True) if flagged]
        if moved:
            yield Line(True, f"{column['column']} has moved away from its reference in {_listed(moved)}.", "drift")
    counts: dict[str, int] = {}
    for kind in drift["kinds"]:
        counts[kind["kind"]] = counts.get(kind["kind"], 0) + kind["count"]
    for kind, count in counts.items():
        yield Line(True, f"{count:,} {kind} alert{'s' if count > 1 else ''} {'were' if count > 1 else 'was'} raised.", "drift")
    if not counts and drift["columns"] and not any(column["windows"] for column in drift["columns"]):
        rows = min(column["window"] for column in drift["columns"])
        yield Line(False, f"No window was filled: not enough rows to judge drift (a window is {rows:,} rows of one partition).", "drift")
    elif not counts and drift["columns"]:
        yield Line(False, "No alert was raised: no window of a watched column differs from its reference.", "drift")


def _expected(figures: Mapping[str, Any]) -> Iterator[Line]:
    if figures["expectations"]:
        newest = figures["expectations"][0]
        failed = len(newest["failed"])
        held = f"{failed} expectations of {newest['step']} were" if failed != 1 else f"One expectation of {newest['step']} was"
        said = f"{held} not met on {newest['day']}." if failed else f"All expectations of {newest['step']} were met on {newest['day']}."
        yield Line(bool(failed), said, "quality")


def _models(figures: Mapping[str, Any]) -> Iterator[Line]:
    models = figures["models"]
    if not models["rows"]:
        return
    if models["degraded"]:
        yield Line(True, f"A fallback answered for {models['degraded']:,} of {models['rows']:,} results.", "models")
    else:
        yield Line(False, f"The model that was asked answered for all of {models['rows']:,} results.", "models")


def _reviews(figures: Mapping[str, Any]) -> Iterator[Line]:
    reviews = figures["reviews"]
    if reviews["open"]:
        yield Line(True, f"{_many(reviews['open'], 'review')} {'is' if reviews['open'] == 1 else 'are'} open.", "reviews")
    if reviews["totals"]["expired"]:
        yield Line(True, f"{_many(reviews['totals']['expired'], 'review')} expired: nobody decided in time.", "reviews")


def _ledger(figures: Mapping[str, Any]) -> Iterator[Line]:
    ledger = figures["ledger"]
    unsigned = sum(tree["unsigned"] for tree in ledger["trees"])
    if unsigned:
        yield Line(True, f"{unsigned:,} of {ledger['leaves']:,} leaves are not signed yet.", "ledger")
    else:
        yield Line(False, f"The ledger's {len(ledger['trees'])} trees, {ledger['leaves']:,} leaves, are signed to their ends.", "ledger")
    if any(not tree["trusted"] for tree in ledger["trees"] if tree["signed_ms"] is not None):
        yield Line(True, "A signed head does not hold by the keys that are known here.", "ledger")


def _many(count: int, word: str) -> str:
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
