"""Reviews: those that are open, and decisions about them."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from connectors.log import Outgoing
from ops.daily.desk import Desk
from ops.daily.leaves import TIMEOUT_S, awaited, ends
from ops.daily.rows import every
from ops.daily.shown import decoded, headers, text
from schemas import decision, pending
from schemas.decision import Action, Decision
from schemas.errors import UsageError
from schemas.pending import Pending
from schemas.positions import Position
from schemas.vocabulary import Verdict
from streams.approve import approved
from streams.ledger.leaf import Leaf

SHORT = 8
"""So many characters of a review's id tell it from the others, mostly."""


@dataclass(frozen=True, slots=True)
class Review:
    """One open review."""

    id: str  # its ce_id
    position: Position  # of its record
    asked_ms: int
    waits: Pending

    def as_json(self) -> dict[str, Any]:
        """One line of a list."""
        waits = self.waits
        return {
            "id": self.id,
            "event": waits.event_id,
            "position": str(waits.root),
            "step": waits.step,
            "rule": waits.rule,
            "reason": waits.reason,
            "sentence": waits.sentence,
            "asked_ms": self.asked_ms,
            "due_ms": waits.due_ms,
        }


@dataclass(frozen=True, slots=True)
class Decided:
    """What became of a decision: the leaf that tells, or None while no worker has taken it in."""

    review: Review
    position: Position  # of the decision
    leaf: Leaf | None

    @property
    def superseded(self) -> bool:
        """Whether it did not count."""
        return self.leaf is not None and Verdict(self.leaf.verdict).void

    @property
    def sentence(self) -> str:
        """What to tell a person."""
        if self.leaf is None:
            return f"no worker has taken the decision in yet; it waits at {self.position}"
        if self.superseded:
            return f"superseded ({self.leaf.reason}): another decision came first, or the review has expired"
        reason = f" ({self.leaf.reason})" if self.leaf.reason else ""
        return f"the event ended as {self.leaf.verdict}{reason}"

    def as_json(self) -> dict[str, Any]:
        """As plain values."""
        leaf = self.leaf
        told = {"review": self.review.id, "event": self.review.waits.event_id, "decision": str(self.position)}
        verdict, reason = (leaf.verdict, leaf.reason) if leaf else ("", "")
        outcome = "waiting" if leaf is None else "superseded" if self.superseded else "decided"
        return told | {"outcome": outcome, "verdict": verdict, "reason": reason, "sentence": self.sentence}


async def open_reviews(desk: Desk) -> list[Review]:
    """Those that no tombstone has closed, the one that expires first in front."""
    found: dict[bytes | None, Review] = {}
    async for row in every(desk.reader, desk.flow.topics.reviews):
        found.pop(row.key, None)
        if row.value is not None and pending.kind(row.value) == "pending":
            found[row.key] = Review(text(row.key), row.position, row.timestamp_ms, pending.decode(row.value))
    return sorted(found.values(), key=lambda review: (review.waits.due_ms, review.position))


def chosen(reviews: Sequence[Review], wanted: str, flow: str) -> Review:
    """The one that is meant by its id, the beginning of it, or its event's id or position.

    Raises:
        UsageError: none is, or several are.
    """
    found = [one for one in reviews if wanted in (one.id, one.waits.event_id, str(one.waits.root))]
    found = found or [one for one in reviews if len(wanted) >= 4 and one.id.startswith(wanted)]
    if not found:
        raise UsageError(f"no open review of {flow} is called {wanted}", f"It may be decided or expired: weft review list {flow}")
    if len(found) > 1:
        raise UsageError(f"{wanted} may be {len(found)} reviews: {', '.join(one.id for one in found[:5])}", "Give more of the id.")
    return found[0]


def must_set(desk: Desk, review: Review) -> Mapping[str, str]:
    """What the asking step gives, column by type; empty where the flow's version is not applied any more."""
    flow = desk.version(f"{review.waits.flow}@{review.waits.version}")
    return {} if flow is None else {name: str(kind) for name, kind in flow.gives[review.waits.step_index].items()}


def described(desk: Desk, review: Review) -> dict[str, Any]:
    """All that can be said of one review."""
    waits = review.waits
    value, wrong = decoded(desk.read_input, waits.value, waits.headers or ())
    columns = {} if waits.columns is None else pending.unpack(waits.columns).to_pylist()[0]
    if value is not None:  # what a policy hid in the columns is hidden here too
        value = {name: columns.get(name, found) for name, found in value.items()}
    return review.as_json() | {
        "flow": f"{waits.flow}@{waits.version}",
        "generation": waits.generation,
        "pass": waits.number,
        "record": str(review.position),
        "key": text(waits.key),
        "headers": headers(waits.headers or ()),
        "input": value,
        "unreadable": wrong,
        "columns": columns,
        "approve_sets": must_set(desk, review),
    }


async def decide(desk: Desk, reviews: Sequence[Review], made: Decision, timeout_s: float = TIMEOUT_S) -> list[Decided]:
    """Send the decision about each review to the partition of its event, and wait for what becomes of it.

    Raises:
        UsageError: an approval does not fit what the asking step gives; nothing was sent.
    """
    decisions = [Decision(one.id, made.action, made.who, made.why, made.at_ms, made.columns) for one in reviews]
    for one, each in zip(reviews, decisions, strict=True):
        _fits(desk, one, each)
    since = await ends(desk, {one.position.partition for one in reviews})
    sent: list[Position] = []
    for one, each in zip(reviews, decisions, strict=True):
        outgoing = Outgoing(desk.flow.topics.resume, [one.id.encode()], [decision.encode(each)], partition=one.position.partition)
        sent += await desk.publisher.publish(outgoing)
    leaves = await awaited(desk, sent, since, timeout_s)
    return [Decided(one, position, leaves.get(position)) for one, position in zip(reviews, sent, strict=True)]


def decided_now(action: Action, who: str, why: str, columns: Mapping[str, Any]) -> Decision:
    """A decision of this moment, for any review."""
    return Decision("", action, who, why, time.time_ns() // 1_000_000, columns)


def _fits(desk: Desk, review: Review, made: Decision) -> None:
    flow = desk.version(f"{review.waits.flow}@{review.waits.version}")
    if made.action is not Action.APPROVE or flow is None:
        return
    fit = approved(flow, review.waits, made)
    if isinstance(fit, str):
        gives = ", ".join(f"{name} ({kind})" for name, kind in must_set(desk, review).items())
        raise UsageError(f"the approval does not fit: {fit}", f"Set with --set COLUMN=JSON what step {review.waits.step} gives: {gives}.")
