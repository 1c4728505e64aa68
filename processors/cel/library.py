"""The CEL library, the one place that loads it.

Its package also imports a command line of its own (rich, prompt_toolkit): half a second of every worker's start. So the extension in it is
loaded without the package; under its own name, since it may be loaded once per process only.
"""

import importlib.util
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Any, Protocol

PACKAGE = "cel"  # of the distribution common-expression-language
MODULE = f"{PACKAGE}.{PACKAGE}"


class Program(Protocol):
    """A compiled expression."""

    @property
    def source(self) -> str:
        """As it was written."""

    def variables(self) -> list[str]:
        """The names in it, with those that macros bind."""

    def execute(self, context: dict[str, Any]) -> Any:
        """Its value for these variables; raises what went wrong."""


def _extension() -> Any:
    """The compiled module inside the package."""
    if MODULE in sys.modules:
        return sys.modules[MODULE]
    package = importlib.util.find_spec(PACKAGE)
    folders = package.submodule_search_locations if package else None
    found = [file for folder in folders or () for suffix in EXTENSION_SUFFIXES if (file := Path(folder, PACKAGE + suffix)).is_file()]
    spec = importlib.util.spec_from_file_location(MODULE, found[0]) if found else None
    if spec is None or spec.loader is None:
        raise ImportError("the package common-expression-language is not installed")
    module = sys.modules[MODULE] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_CEL = _extension()


def compile_source(source: str) -> Program:
    """Compile an expression.

    Raises:
        ValueError: it is none.
    """
    program: Program = _CEL.compile(source)
    return program
