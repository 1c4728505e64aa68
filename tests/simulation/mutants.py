"""The mutants: each takes one law of the design out of the code by a small patch. The simulation must find every one of them."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType

import yaml

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Patch:
    """A text in a file, and what stands there instead."""

    file: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Mutant:
    """A law that does not hold any more."""

    name: str
    law: str
    patches: tuple[Patch, ...]
    behind: str = ""  # a second line of defence: the mutant that takes out the first one with it, and that must be found


def _read() -> tuple[Mutant, ...]:
    said = yaml.safe_load((Path(__file__).parent / "mutants.yaml").read_text())
    return tuple(Mutant(**one | {"patches": tuple(Patch(**patch) for patch in one["patches"])}) for one in said)


MUTANTS: Sequence[Mutant] = _read()


class _Mutated(SourceFileLoader):
    """Loads a module whose source is patched."""

    patches: tuple[Patch, ...] = ()

    def get_code(self, fullname: str) -> CodeType:
        """From the source, never from a cache."""
        source = Path(self.path).read_text()
        for patch in self.patches:
            if source.count(patch.old) != 1:
                raise ValueError(f"{patch.file} has {source.count(patch.old)} times: {patch.old}")
            source = source.replace(patch.old, patch.new)
        return compile(source, self.path, "exec")


class _Finder(MetaPathFinder):
    def __init__(self, mutant: Mutant) -> None:
        self._mutant = mutant

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """The patched module, if it is one."""
        patches = tuple(patch for patch in self._mutant.patches if patch.file.removesuffix(".py").replace("/", ".") == fullname)
        if not patches:
            return None
        file = str(ROOT / patches[0].file)
        loader = _Mutated(fullname, file)
        loader.patches = patches
        return spec_from_file_location(fullname, file, loader=loader)


def mutate(name: str) -> None:
    """From here on, what is imported is the mutant's."""
    sys.meta_path.insert(0, _Finder(next(mutant for mutant in MUTANTS if mutant.name == name)))
