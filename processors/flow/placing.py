"""Puts a flow's steps in their places: each is planned against the columns that those before it give."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import pyarrow as pa

from processors.cel.expression import Expression
from processors.cel.site import expression
from processors.flow.first import decode_plan
from processors.flow.plan import Plan, Site
from processors.flow.spec import Input, Limits
from processors.flow.words import FIRST, words
from processors.step import DEGRADED, MODEL, RULE
from schemas.codecs.cloudevents_attributes import ATTRIBUTES
from schemas.errors import FlowError

Columns = Mapping[str, pa.DataType]

MEANT: Columns = {MODEL: pa.string(), RULE: pa.string(), DEGRADED: pa.bool_()}


@dataclass(frozen=True, slots=True)
class Placed:
    """A step in its place."""

    word: str
    line: int
    plan: Plan
    when: Expression | None = None


class Placement(NamedTuple):
    """All steps that could be placed. Not `whole` where one could not: then columns behind it may be missing without a mistake."""

    steps: tuple[Placed, ...]
    columns: Columns
    whole: bool


class _Told(NamedTuple):
    """A step as it stands in the file; without a spec where that has mistakes."""

    word: str
    at: Site
    spec: Any | None


def place(site: Site, told: Input | None, limits: Limits) -> Placement:
    """Place every step; `site` is the whole file, `told` its input (None where that has mistakes)."""
    trial = _place(Site(site.project, site.page, []), told, limits, {})
    givers: dict[str, Placed] = {}
    for step in trial.steps:
        for name in step.plan.gives:
            givers.setdefault(name, step)
    return _place(site, told, limits, givers)


def _place(site: Site, told: Input | None, limits: Limits, givers: Mapping[str, Placed]) -> Placement:
    first = decode_plan(site, told, limits) if told else None
    steps = _told(site)
    if first is None:
        return Placement((), {}, False)
    placed = [Placed(FIRST, site.page.mark(("input",), key=True).line, first)]
    columns, nullable, whole = dict(first.gives), first.nullable, True
    for word, at, spec in steps:
        if spec is None:
            whole = False
            continue
        line = site.page.mark(at.path, key=True).line
        at.nullable = nullable
        at.unsure = frozenset() if whole else frozenset(columns)
        at.later = {
            name: f"`{giver.plan.name}` gives it in line {giver.line}: move that step up"
            for name, giver in givers.items()
            if giver.line > line
        }
        step = _planned(word, at, spec, columns, placed)
        placed.append(step)
        whole = whole and step.plan.complete
        gives = step.plan.gives
        columns |= gives
        nullable = nullable | gives.keys() if step.when else (nullable - gives.keys()) | step.plan.nullable
    return Placement(tuple(placed), columns, whole)


def _told(site: Site) -> Sequence[_Told]:
    """Each step's word, place and spec."""
    found: list[_Told] = []
    known = words(site.project)
    listed = site.data.get("steps")
    for index, step in enumerate(listed if isinstance(listed, list) else ()):
        at = site.below("steps", index)
        if not isinstance(step, dict) or len(step) != 1:
            at.mistake(
                (), "a step is one word and what it is told", hint='e.g. `- filter: {when: "departed_at == null", reason: cancelled}`'
            )
            found.append(_Told("", at, None))
            continue
        word = next(iter(step))
        at = at.below(word)
        if word in known:
            found.append(_Told(word, at, _spec(at, known[word])))
            continue
        hint = "the flow's `input` says how events are decoded" if word == FIRST else ""
        at.mistake((), f"there is no step `{word}`", wrong_word=word, valid=known, hint=hint, key=True)
        found.append(_Told(word, at, None))
    return found


def _spec(at: Site, step: Any) -> Any | None:
    """What the step is told; None, and mistakes, where that or its code is wrong."""
    try:
        model = step.Spec
    except FlowError as error:  # a plugin
        at.mistake((), error.sentence, hint=error.hint, key=True)
        return None
    return at.load(model)


def _planned(word: str, at: Site, spec: Any, columns: Columns, before: Sequence[Placed]) -> Placed:
    known = len(at.mistakes)
    source = None if getattr(spec, "own_when", False) else getattr(spec, "when", None)
    when = None if source is None else expression(at, "when", source, columns)
    plan: Plan = words(at.project)[word].plan(spec, at, columns)
    missing = sorted(plan.needs - columns.keys()) if len(at.mistakes) == known else ()
    for name in missing:
        at.mistake((), f"there is no column `{name}` here", wrong_word=name, valid=columns, key=True)
    if any(plan.name == other.plan.name for other in before):
        at.mistake((), f"there are two steps `{plan.name}`", hint="give this one a `name` of its own", key=True)
    _check_meanings(at, plan, before[0].plan.gives)
    for name, type_ in plan.gives.items() if when else ():
        if columns.get(name, type_) != type_:
            at.mistake("when", f"`{name}` would be {columns[name]} in some rows and {type_} in others", hint="give it another name")
    return Placed(word, at.page.mark(at.path, key=True).line, plan, when)


def _check_meanings(at: Site, plan: Plan, fields: Columns) -> None:
    """Columns with a meaning of their own are what the ledger and the outcomes' headers take them for."""
    for name, type_ in plan.gives.items():
        if name in ATTRIBUTES:
            at.mistake((), f"`{plan.name}` gives `{name}`, which is an attribute of a CloudEvent", hint="give it another name", key=True)
        elif name in MEANT and type_ != MEANT[name]:
            sentence = f"`{plan.name}` gives `{name}` as {type_}; what the ledger reads there is {MEANT[name]}"
            at.mistake((), sentence, hint="give it another name", key=True)
        elif name in MEANT and name in fields:
            sentence = f"the event has a field `{name}`, and `{plan.name}` says by that name what was used"
            at.mistake((), sentence, hint="rename the event's field, with the old name as its alias", key=True)
