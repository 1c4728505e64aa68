"""The words that a flow's steps may begin with: the modules of `processors.steps`."""

import importlib
import pkgutil
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from processors import steps

FIRST = "decode"
"""Stands before all others and is not written: the flow's `input` is its spec."""


@lru_cache(maxsize=1)
def step_modules() -> Mapping[str, Any]:
    """Each module with a `Spec` and a `plan`, by its word."""
    found = {info.name: importlib.import_module(f"{steps.__name__}.{info.name}") for info in pkgutil.iter_modules(steps.__path__)}
    return {word: module for word, module in sorted(found.items()) if hasattr(module, "Spec") and hasattr(module, "plan")}


def words() -> Mapping[str, Any]:
    """Those that a flow file may use."""
    return {word: module for word, module in step_modules().items() if word != FIRST}
