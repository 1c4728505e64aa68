"""Finds plugins: files in a project's `plugins/steps/` and `plugins/sinks/`, and entry points of installed packages.

A plugin's code runs in whatever process uses it, with all of that process's rights. So a file is read only where `weft.toml` says that the
folder is a project of Weft, and only if nobody but the user or root
could have written it, the folders on the way or weft.toml. Nothing is imported to be listed.
"""

import importlib.util
import re
import sys
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from importlib import metadata
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, Literal

from processors.plugins.owned import strange
from schemas.errors import FlowError

PluginKind = Literal["steps", "sinks"]
KINDS: tuple[PluginKind, ...] = ("steps", "sinks")

FOLDER = "plugins"
MARK = "weft.toml"
"""What makes a folder a project whose plugins are read."""

_WORD = re.compile(r"[a-z][a-z0-9_]{0,39}")
_MODULE = "weft_plugin_"


@dataclass(frozen=True, slots=True)
class Plugin:
    """One plugin, not imported yet."""

    kind: PluginKind
    word: str  # what a flow file or a sink file calls it by
    origin: str  # where it comes from, as a person would say it
    place: Path | metadata.EntryPoint
    wrong: str = ""  # why it is not used; empty if nothing is known against it

    def module(self) -> Any:
        """Its code: a module, or what the entry point names.

        Raises:
            FlowError: it may not be used, or can't be imported.
        """
        if self.wrong:
            raise FlowError(f"{self.origin} is not used: {self.wrong}")
        try:
            return _imported(self.place, _changed(self.place)) if isinstance(self.place, Path) else self.place.load()
        except (Exception, SystemExit) as error:  # whatever its code does
            raise FlowError(f"{self.origin} can't be loaded: {told(error)}", "`weft plugin list` shows all plugins.") from error


def find(kind: PluginKind, folder: Path | None) -> Mapping[str, Plugin]:
    """Every plugin by its word: the project folder's, then those of installed packages. One whose word is taken stands under its origin."""
    found: dict[str, Plugin] = {}
    for plugin in (*_in_folder(kind, folder), *_installed(kind, tuple(sys.path))):
        if plugin.word in found:
            taken = f"`{plugin.word}` is given by {found[plugin.word].origin} already"
            found[plugin.origin] = Plugin(kind, plugin.word, plugin.origin, plugin.place, taken)
        else:
            found[plugin.word] = plugin
    return found


def told(error: BaseException) -> str:
    """What a plugin's code raised, in a line, with the place in it."""
    if isinstance(error, SyntaxError):
        return f"{error.msg} ({error.filename}:{error.lineno})"
    frames = list(traceback.walk_tb(error.__traceback__))
    own = [frame for frame in frames if str(frame[0].f_globals.get("__name__")).startswith(_MODULE)] or frames
    place = f" ({own[-1][0].f_code.co_filename}:{own[-1][1]})" if own else ""
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}{place}"


def _in_folder(kind: PluginKind, folder: Path | None) -> list[Plugin]:
    if folder is None:
        return []
    at = folder / FOLDER / kind
    files = sorted(path for path in at.glob("*.py") if not path.name.startswith("_"))
    mark = folder / MARK
    wrong = strange(folder) or strange(mark) if mark.is_file() else f"there is no {MARK} in {folder}, so it is no project of Weft"
    return [_file(kind, path, wrong) for path in files]


def _file(kind: PluginKind, path: Path, wrong: str) -> Plugin:
    if not _WORD.fullmatch(path.stem):
        wrong = wrong or "its name must be lower-case letters, digits and _"
    wrong = wrong or strange(path.parent.parent) or strange(path.parent) or strange(path)
    return Plugin(kind, path.stem, f"{FOLDER}/{kind}/{path.name}", path, wrong)


@lru_cache(maxsize=8)
def _installed(kind: PluginKind, path: tuple[str, ...]) -> tuple[Plugin, ...]:
    """Those of the packages on the path. A check of a flow asks twenty times, and each search would take 20 ms."""
    del path
    found = []
    for point in sorted(metadata.entry_points(group=f"weft.{kind}"), key=lambda one: one.name):
        package = f"{point.dist.name} {point.dist.version}" if point.dist else "an installed package"
        wrong = "" if _WORD.fullmatch(point.name) else "its name must be lower-case letters, digits and _"
        found.append(Plugin(kind, point.name, f"{package} ({point.value})", point, wrong))
    return tuple(found)


def _changed(path: Path) -> int:
    return path.stat().st_mtime_ns


class _Source(SourceFileLoader):
    """Compiles the file itself: bytecode that lies beside it may be of other code, and is neither read nor written."""

    def get_code(self, fullname: str) -> CodeType:
        return self.source_to_code(self.get_data(self.path), self.path)


@lru_cache(maxsize=256)
def _imported(path: Path, changed: int) -> ModuleType:
    """The file as a module under a name of its own, once for each state of it."""
    digest = blake2b(f"{path.resolve()} {changed}".encode(), digest_size=6).hexdigest()
    name = f"{_MODULE}{path.stem}_{digest}"
    spec = importlib.util.spec_from_file_location(name, path, loader=_Source(name, str(path)))
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickle look there
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
