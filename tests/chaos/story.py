"""What a run tells: its timeline, a table of the faults with how soon all was well again, and what the checker found."""

import statistics
from collections.abc import Sequence

from tests.chaos.checker import Found
from tests.chaos.faults import KINDS, Kind
from tests.chaos.world import Blow


def moment(blow: Blow, kind: Kind, began_s: float) -> str:
    """One line of the timeline."""
    took_s = blow.ended_s - blow.began_s
    note = f" ({blow.note})" if blow.note else ""
    where = ",".join(map(str, blow.partitions))
    struck = f"{blow.began_s - began_s:7.1f} s  {kind.name:32} {blow.line.name} [{where}]"
    return f"{struck} for {took_s:4.1f} s, back after {back_s(blow, kind):5.2f} s{note}"


def back_s(blow: Blow, kind: Kind) -> float:
    """From the fault's end (of a worker that is stopped: from its beginning) to the next outcome in every partition that was hit."""
    assert blow.next_s is not None
    return max(0.0, blow.next_s - (blow.began_s if kind.from_begin else blow.ended_s))


Blows = Sequence[tuple[Kind, Blow]]


def by_kind(blows: Blows) -> dict[Kind, list[Blow]]:
    """Those of each kind, in the order of the list of kinds."""
    return {kind: mine for kind in KINDS if (mine := [blow for one, blow in blows if one is kind])}


def alone(blow: Blow, blows: Blows) -> bool:
    """Whether no other fault struck from its beginning until all was well."""
    return not any(other is not blow and other.began_s < (blow.next_s or 0) and blow.began_s < (other.next_s or 0) for _, other in blows)


def table(blows: Blows) -> list[str]:
    """By kind: how many, how long they lasted, and of those that came alone how soon all was well."""
    lines = ["| fault | times | alone | lasted | next outcome: median | most | promised |", "|---|---|---|---|---|---|---|"]
    for kind, mine in by_kind(blows).items():
        back = [back_s(blow, kind) for blow in mine if alone(blow, blows)]
        lasted = statistics.median(blow.ended_s - blow.began_s for blow in mine)
        figures = f"{statistics.median(back):.2f} s | {max(back):.2f} s" if back else "- | -"
        goal = f"< {kind.goal_s:g} s" if kind.goal_s else ""
        lines.append(f"| {kind.name} | {len(mine)} | {len(back)} | {lasted:.1f} s | {figures} | {goal} |")
    return [*lines, f"| all | {len(blows)} | {sum(alone(blow, blows) for _, blow in blows)} | | | | |"]


def late(blows: Blows, slack: float = 1.0) -> list[str]:
    """Kinds whose median is over what is promised, of those that came alone."""
    backs = {kind: [back_s(blow, kind) for blow in mine if alone(blow, blows)] for kind, mine in by_kind(blows).items()}
    medians = {kind: statistics.median(back) for kind, back in backs.items() if back}
    return [f"{kind.name}: {median:.1f} s" for kind, median in medians.items() if kind.goal_s and median > kind.goal_s * slack]


def told(name: str, found: Found) -> list[str]:
    """What the checker found of a flow."""
    lines = [
        f"{name}: {found.events:,} events; {', '.join(f'{count:,} {verdict}' for verdict, count in found.outcomes.items())}; "
        f"{found.degraded:,} results by a fallback; {found.aborted:,} records of transactions that were cut off",
        f"  ledger: {found.leaves:,} leaves in {found.trees} trees, {found.heads:,} signed heads; "
        f"{', '.join(f'{count:,} {verdict}' for verdict, count in found.passes.items())}",
    ]
    if found.reasons:
        lines.append(f"  dead letters: {', '.join(f'{count:,} {reason}' for reason, count in found.reasons.items())}")
    if found.ordered:
        lines.append(f"  {found.ordered:,} results stand behind the one before them of their key")
    lines += [f"  WRONG, {law}: {sentence}" for law, sentences in found.wrong.items() for sentence in sentences]
    return [*lines, f"  {'every event has exactly one outcome' if found.holds else 'NOT PROVEN'}"]
