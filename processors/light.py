"""Keeps pyarrow from importing pandas, which it does at the first array it makes wherever pandas is installed: a second of every start."""

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

import pyarrow as pa


class _NoPandas(MetaPathFinder):
    """Finds no pandas."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """See MetaPathFinder."""
        if name == "pandas":
            raise ImportError(name=name)
        return None


def keep_pandas_out() -> None:
    """Let pyarrow look for pandas now, and find none. It looks once; whoever asks for pandas afterwards gets it as ever."""
    finder = _NoPandas()
    sys.meta_path.insert(0, finder)
    try:
        pa.array([0])
    finally:
        sys.meta_path.remove(finder)
