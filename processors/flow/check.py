"""Checks a flow and everything that it names, from the input's contract to the result's, and says all mistakes at once."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from processors.cel.expression import Expression
from processors.cel.site import expression
from processors.flow.first import decode_plan
from processors.flow.last import check_result
from processors.flow.plan import Mistake, Plan, Site, nearest
from processors.flow.project import Project
from processors.flow.spec import FlowFile
from processors.flow.words import FIRST, step_modules, words
from processors.flow.yaml import Page, parse
from schemas.errors import FlowError

Columns = Mapping[str, pa.DataType]


@dataclass(frozen=True, slots=True)
class Placed:
    """A step in its place."""

    word: str
    line: int
    plan: Plan
    when: Expression | None = None


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check found out. It may only be compiled when there are no mistakes."""

    page: Page
    spec: FlowFile | None
    placed: tuple[Placed, ...] = ()  # decode first
    columns: Columns = field(default_factory=dict)  # behind the last step
    mistakes: tuple[Mistake, ...] = ()

    def sound(self) -> FlowFile:
        """The flow's file, which has no mistakes.

        Raises:
            FlowError: it has.
        """
        if self.mistakes or self.spec is None:
            count = len(self.mistakes)
            what = "a mistake" if count == 1 else f"{count} mistakes"
            raise FlowError(f"{self.page.file} has {what}: {self.mistakes[0]}", "`weft flow check` shows all of them.")
        return self.spec


def check(project: Project, name: str) -> Checked:
    """Check the flow of that name. Never raises for what stands in its files.

    Raises:
        FlowError: there is no such flow.
    """
    file = project.read("flows", f"{name}.yaml")
    if file is None:
        hint = nearest(name, project.names("flows", ".yaml")) or "Write flows/<name>.yaml in a project folder and name it with --project."
        raise FlowError(f"there is no flow `{name}`", hint)
    page = parse(file.path, file.text)
    mistakes = [Mistake(page.file, *problem.mark, problem.sentence) for problem in page.problems]
    site = Site(project, page, mistakes)
    spec = None if mistakes else site.load(FlowFile)
    if spec is None and not isinstance(page.data, dict):
        return Checked(page, None, mistakes=_sorted(mistakes))
    placed: tuple[Placed, ...] = ()
    columns: Columns = {}
    if spec is None:
        _load_steps(site)
    else:
        _check_names(site, spec, name)
        later = _givers(_place(Site(project, page, []), spec))
        placed = _place(site, spec, later)
        columns = _behind(placed)
        if not mistakes:
            check_result(site, spec, columns)
    return Checked(page, spec, placed, columns, _sorted(mistakes))


def _sorted(mistakes: list[Mistake]) -> tuple[Mistake, ...]:
    return tuple(sorted(set(mistakes)))


def _check_names(site: Site, spec: FlowFile, name: str) -> None:
    if spec.flow != name:
        site.mistake("flow", f"this file is named {name}.yaml, but the flow in it `{spec.flow}`", hint="name both alike")
    own = f"{spec.flow}."
    for part in (("input", spec.input.topic), ("result", spec.result.topic)):
        if part[1].startswith(own):
            site.mistake((part[0], "topic"), f"topics that begin with `{own}` are the flow's own", hint="choose another topic")
    if spec.input.topic == spec.result.topic:
        site.mistake("result.topic", "the results would be events of the same flow again", hint="choose another topic")


def _load_steps(site: Site) -> list[tuple[str, Site, Any]]:
    """Each step's word, place and Spec; those that can't be read are told and left out."""
    found: list[tuple[str, Site, Any]] = []
    listed = site.data.get("steps")
    for index, step in enumerate(listed if isinstance(listed, list) else ()):
        if not isinstance(step, dict) or len(step) != 1:
            site.mistake(("steps", index), "a step is one word and what it is told", hint='e.g. `- filter: {when: "..."}`')
            continue
        word = next(iter(step))
        at = site.below("steps", index, word)
        if word not in words():
            hint = "the flow's `input` says how events are decoded" if word == FIRST else ""
            site.mistake(("steps", index, word), f"there is no step `{word}`", wrong_word=word, valid=words(), hint=hint, key=True)
        elif (spec := at.load(step_modules()[word].Spec)) is not None:
            found.append((word, at, spec))
    return found


def _place(site: Site, spec: FlowFile, later: Mapping[str, tuple[int, str]] | None = None) -> tuple[Placed, ...]:
    """Plan every step against the columns that are there. `later`: which line and step first gives a column."""
    first = decode_plan(site, spec)
    if first is None:
        _load_steps(site)
        return ()
    placed = [Placed(FIRST, site.page.mark(("input",), key=True).line, first)]
    columns, nullable = dict(first.gives), first.nullable
    for word, at, step in _load_steps(site):
        line = site.page.mark(at.path, key=True).line
        at.nullable = nullable
        at.later = {
            name: f"`{giver}` gives it in line {there}: move that step up" for name, (there, giver) in (later or {}).items() if there > line
        }
        when = _when(at, step, columns)
        before = len(at.mistakes)
        plan: Plan = step_modules()[word].plan(step, at, columns)
        if len(at.mistakes) == before:
            _check_needs(at, plan, columns)
        _check_gives(at, plan, placed, columns, when)
        placed.append(Placed(word, line, plan, when))
        columns |= plan.gives
        nullable = (nullable - (frozenset[str]() if when else plan.gives.keys())) | (plan.gives.keys() if when else plan.nullable)
    return tuple(placed)


def _when(at: Site, step: Any, columns: Columns) -> Expression | None:
    """The compiled `when` of a step that does not read it itself."""
    source = getattr(step, "when", None)
    if source is None or getattr(step, "own_when", False):
        return None
    return expression(at, "when", source, columns)


def _check_needs(at: Site, plan: Plan, columns: Columns) -> None:
    for name in sorted(plan.needs - columns.keys()):
        at.mistake((), f"there is no column `{name}` here", wrong_word=name, valid=columns, key=True)


def _check_gives(at: Site, plan: Plan, placed: list[Placed], columns: Columns, when: Expression | None) -> None:
    if any(plan.name == other.plan.name for other in placed):
        at.mistake((), f"there are two steps `{plan.name}`", hint="give this one a `name` of its own", key=True)
    for name, type_ in plan.gives.items() if when else ():
        if columns.get(name, type_) != type_:
            at.mistake("when", f"`{name}` would be {columns[name]} in some rows and {type_} in others", hint="give it another name")


def _givers(placed: tuple[Placed, ...]) -> Mapping[str, tuple[int, str]]:
    found: dict[str, tuple[int, str]] = {}
    for step in placed:
        for name in step.plan.gives:
            found.setdefault(name, (step.line, step.plan.name))
    return found


def _behind(placed: tuple[Placed, ...]) -> Columns:
    columns: dict[str, pa.DataType] = {}
    for step in placed:
        columns |= step.plan.gives
    return columns
