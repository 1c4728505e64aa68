"""Tries plugins by the laws of steps and of sinks, and lists what plugins there are."""

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pydantic

from connectors.memory.lookup import MemoryLookup
from connectors.sink import Example as SinkExample
from connectors.sink import Sink
from connectors.sink_laws import SINK_LAWS
from ops.flow.offline import FixedScore
from ops.sinks.file import spec_of
from processors.flow.plan import Parts
from processors.flow.plugged import Plugged
from processors.flow.project import FolderProject, FrozenProject
from processors.flow.words import step_plugins
from processors.plugins.case import case_of
from processors.plugins.found import Plugin, told
from processors.plugins.laws import LAWS, BrokenLawError
from processors.plugins.step import Example
from schemas.errors import FlowError, UsageError

LAW_S = 30.0
"""A law that takes longer is broken."""
_EXAMPLE = "has an EXAMPLE"


@dataclass(frozen=True, slots=True)
class Kept:
    """One law tried on one plugin."""

    plugin: Plugin
    law: str
    wrong: str = ""  # how it is broken; empty if it is kept

    def as_json(self) -> dict[str, object]:
        """As plain values."""
        return {"kind": self.plugin.kind, "plugin": self.plugin.word, "law": self.law, "kept": not self.wrong, "why": self.wrong}


def listed(project: FolderProject) -> list[dict[str, str]]:
    """Every plugin, where it comes from, and whether it can be used."""
    rows = []
    for plugin in everything(project):
        said, wrong = "", ""
        try:
            said = _said(plugin)
        except FlowError as error:
            wrong = error.sentence
        kind = plugin.kind.removesuffix("s")
        rows.append({"kind": kind, "word": plugin.word, "from": plugin.origin, "is": said, "not used": wrong})
    return rows


def everything(project: FolderProject) -> list[Plugin]:
    """Every plugin of the project and of installed packages."""
    return [*step_plugins(project).values(), *project.plugins("sinks").values()]


def _said(plugin: Plugin) -> str:
    """What it does, in a line; loads it."""
    if plugin.kind == "steps":
        step = Plugged(plugin)
        _ = step.Spec
        return step.sentence
    spec_of(plugin)
    return (plugin.module().__doc__ or "").strip().partition("\n")[0]


def chosen(project: FolderProject, words: Sequence[str]) -> list[Plugin]:
    """The named plugins, or all.

    Raises:
        UsageError: there is none of a name.
    """
    found = everything(project)
    for word in words:
        if not any(plugin.word == word for plugin in found):
            raise UsageError(f"there is no plugin `{word}`", "`weft plugin list` shows all.")
    return [plugin for plugin in found if not words or plugin.word in words]


async def tried(plugin: Plugin, project: FolderProject) -> list[Kept]:
    """Every law on one plugin; only the first line where it has no example to try it with."""
    try:
        example = getattr(plugin.module(), "EXAMPLE", None)
        if plugin.kind == "steps":
            return [Kept(plugin, _EXAMPLE), *await _steps(plugin, example, project)]
        return [Kept(plugin, _EXAMPLE), *await _sinks(plugin, example)]
    except FlowError as error:
        return [Kept(plugin, _EXAMPLE, f"{error.sentence}{f' ({error.hint})' if error.hint else ''}")]


async def _steps(plugin: Plugin, example: Any, project: FolderProject) -> list[Kept]:
    if not isinstance(example, Example):
        raise FlowError("there is no EXAMPLE = Example(told, columns) in it", "from processors.plugins.step import Example")
    lookup = MemoryLookup(example.lookup.items())
    where = FrozenProject(example.files, project) if example.files else project
    case = case_of(Plugged(plugin), example, Parts(lookup, FixedScore(0.5), time.monotonic, where))
    return [await _held(plugin, law.name, partial(law.hold, case)) for law in LAWS]


async def _sinks(plugin: Plugin, example: Any) -> list[Kept]:
    if not isinstance(example, SinkExample):
        raise FlowError("there is no EXAMPLE = Example(told) in it", "from connectors.sink import Example")
    try:
        spec = spec_of(plugin).model_validate(dict(example.told))
    except pydantic.ValidationError as error:
        raise FlowError(f"its EXAMPLE does not suit its Spec: {error.errors()[0]['msg']}") from error
    found = []
    for law in SINK_LAWS:
        with tempfile.TemporaryDirectory(prefix="weft-sink-") as folder:
            found.append(await _held(plugin, law.name, partial(law.hold, partial(_opened, plugin, spec, Path(folder)))))
    return found


def _opened(plugin: Plugin, spec: Any, folder: Path) -> Sink:
    made: Sink = plugin.module().Sink(spec, folder)
    return made


async def _held(plugin: Plugin, name: str, hold: Callable[[], Awaitable[None]]) -> Kept:
    """Whether the law is kept."""
    try:
        async with asyncio.timeout(LAW_S):
            await hold()
    except BrokenLawError as error:
        return Kept(plugin, name, str(error))
    except TimeoutError:
        return Kept(plugin, name, f"it took longer than {LAW_S:.0f} s")
    except Exception as error:  # whatever the plugin's code does
        return Kept(plugin, name, told(error))
    return Kept(plugin, name)
