"""The words that a flow's steps may begin with: the modules of `processors.steps`, and the step plugins of a project."""

import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

from processors import steps
from processors.flow.plugged import Plugged
from processors.flow.project import Project
from processors.plugins.found import Plugin

FIRST = "decode"
"""Stands before all others and is not written: the flow's `input` is its spec."""


@lru_cache(maxsize=1)
def step_modules() -> Mapping[str, Any]:
    """Each module with a `Spec` and a `plan`, by its word."""
    found = {info.name: importlib.import_module(f"{steps.__name__}.{info.name}") for info in pkgutil.iter_modules(steps.__path__)}
    return {word: module for word, module in sorted(found.items()) if hasattr(module, "Spec") and hasattr(module, "plan")}


def words(project: Project | None = None) -> Mapping[str, Any]:
    """Those that a flow file may use: Weft's own, and the project's plugins, in the same shape."""
    own = {word: module for word, module in step_modules().items() if word != FIRST}
    if project is None:
        return own
    return own | {word: Plugged(plugin) for word, plugin in step_plugins(project).items() if word == plugin.word and word not in own}


def step_plugins(project: Project) -> Mapping[str, Plugin]:
    """The project's step plugins, also those that are not used, as Weft has a step of their name."""
    own = step_modules()
    taken = "Weft has a step of this name"
    return {
        word: replace(plugin, wrong=plugin.wrong or taken) if plugin.word in own else plugin
        for word, plugin in project.plugins("steps").items()
    }


def sentence(step: Any) -> str:
    """What a step does, in a line."""
    return step.sentence if isinstance(step, Plugged) else (step.__doc__ or "").strip().partition("\n")[0]
