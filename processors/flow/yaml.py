"""Reads YAML and JSON into plain values and remembers where each value stands.

A subset of YAML 1.2: strings, numbers, true and false, null, lists, maps with string keys. No tags, no dates, no `yes` and `on` as
booleans, and no object is ever built from a tag.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

import yaml

MAX_NODES = 30_000
"""Values in one file, read in about a second; aliases that multiply stop here too."""
MAX_DEPTH = 100
"""Values within values."""

Path = tuple[str | int, ...]
"""The way to a value, e.g. `("steps", 3, "enrich", "lookup")`."""


class Mark(NamedTuple):
    """A place in a file, both from 1."""

    line: int
    column: int


class Problem(NamedTuple):
    """What the file's text itself has wrong."""

    mark: Mark
    sentence: str


@dataclass(frozen=True, slots=True)
class Page:
    """One file as values with marks. Unreadable text gives `data` None and at least one problem."""

    file: str
    text: str
    data: Any = None
    values: Mapping[Path, Mark] = field(default_factory=dict)
    keys: Mapping[Path, Mark] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()

    def mark(self, path: Path, key: bool = False) -> Mark:
        """Where the value (or its key) stands; the nearest one above it where it is not there."""
        if key and path in self.keys:
            return self.keys[path]
        while path and path not in self.values:
            path = path[:-1]
        return self.values.get(path, Mark(1, 1))


class _BeyondError(Exception):
    """The text is too deep or too long."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem


class _Loader(yaml.SafeLoader):
    """PyYAML's composer with the scalars of this subset; it stops at the bounds, not behind them."""

    depth = nodes = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        self.depth, self.nodes = self.depth + 1, self.nodes + 1
        if self.depth > MAX_DEPTH or self.nodes > MAX_NODES:
            what = f"this is nested more than {MAX_DEPTH} deep" if self.depth > MAX_DEPTH else f"a file has at most {MAX_NODES:,} values"
            raise _BeyondError(Problem(_mark(self.peek_event().start_mark), what))  # type: ignore[no-untyped-call]
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("bool", r"true|false", "tf"),
    ("null", r"null|~|", ["n", "~", ""]),
    ("int", r"[-+]?[0-9]+", "-+0123456789"),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", "-+.0123456789"),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"^(?:{_pattern})$"), list(_first))

_SCALARS: Mapping[str, Callable[[str], Any]] = {
    "tag:yaml.org,2002:str": lambda text: text.encode("utf-16", "surrogatepass").decode("utf-16"),  # JSON writes pairs
    "tag:yaml.org,2002:int": int,
    "tag:yaml.org,2002:float": float,
    "tag:yaml.org,2002:bool": lambda text: text == "true",
    "tag:yaml.org,2002:null": lambda _: None,
}


class _Walk:
    """Turns nodes into values, collecting marks and problems."""

    def __init__(self) -> None:
        self.values: dict[Path, Mark] = {}
        self.keys: dict[Path, Mark] = {}
        self.problems: list[Problem] = []
        self.nodes = 0

    def value(self, node: yaml.Node, path: Path, above: tuple[int, ...] = ()) -> Any:
        mark = _mark(node.start_mark)
        self.values[path] = mark
        self.nodes += 1
        if self.nodes > MAX_NODES or id(node) in above:
            raise _BeyondError(Problem(mark, "the aliases have no end"))
        above = (*above, id(node))
        if isinstance(node, yaml.MappingNode) and node.tag.endswith(":map"):
            return self._mapping(node, path, above)
        if isinstance(node, yaml.SequenceNode) and node.tag.endswith(":seq"):
            return [self.value(item, (*path, index), above) for index, item in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode) and node.tag in _SCALARS:
            try:
                return _SCALARS[node.tag](node.value)
            except ValueError:
                self.problems.append(Problem(mark, "this value can't be read"))
                return None
        self.problems.append(Problem(mark, f"the tag {node.tag!r} is not read here"))
        return None

    def _mapping(self, node: yaml.MappingNode, path: Path, above: tuple[int, ...]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            mark = _mark(key_node.start_mark)
            if not isinstance(key_node, yaml.ScalarNode):
                self.problems.append(Problem(mark, "a key must be a word"))
                continue
            key = str(key_node.value)
            if key in found:
                self.problems.append(Problem(mark, f"{key!r} stands here twice"))
                continue
            self.keys[(*path, key)] = mark
            found[key] = self.value(value_node, (*path, key), above)
        return found


@lru_cache(maxsize=16)  # one check of a flow reads a file several times
def parse(file: str, text: str) -> Page:
    """Read YAML or JSON. Never raises: what is wrong with the text is in `problems`. Nobody may change what it gives."""
    walk = _Walk()
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            data = walk.value(node, ()) if node is not None else None
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        place = _mark(error.problem_mark or error.context_mark)
        sentence = " ".join(part for part in (error.context, error.problem) if part)
        return Page(file, text, problems=(Problem(place, f"this is not YAML: {sentence}"),))
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        place = Mark(before.count("\n") + 1, error.position - before.rfind("\n"))
        return Page(file, text, problems=(Problem(place, "this character may not stand in YAML"),))
    except _BeyondError as beyond:
        return Page(file, text, problems=(beyond.problem,))
    return Page(file, text, data, walk.values, walk.keys, tuple(walk.problems))


def _mark(mark: yaml.Mark | None) -> Mark:
    return Mark(mark.line + 1, mark.column + 1) if mark else Mark(1, 1)
