"""A sink file, `sinks/<name>.yaml`: which flow's results go where, checked with places as flows are."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pydantic
from pydantic import Field

from connectors.sink import Sink, SinkSpec
from processors.flow.plan import Mistake, Site, nearest
from processors.flow.project import FolderProject
from processors.flow.yaml import Page, parse
from processors.plugins.found import Plugin, told
from schemas.errors import FailedError, FlowError, UsageError, WeftError


class SinkFile(pydantic.BaseModel, frozen=True, extra="forbid"):
    """One sink."""

    flow: str = Field(description="The flow whose results are sent.")
    to: dict[str, Any] = Field(description="One word, a sink plugin's, and what it is told.")


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check found out. It may only be opened when there are no mistakes."""

    name: str
    page: Page
    mistakes: tuple[Mistake, ...]
    flow: str = ""
    word: str = ""
    spec: Any = None
    plugin: Plugin | None = None

    def open(self, project: FolderProject) -> Sink:
        """A connection.

        Raises:
            UsageError: the file has mistakes.
            FailedError: the plugin's code fails.
        """
        if self.mistakes or self.plugin is None or project.folder is None:
            raise FlowError(f"the sink has a mistake: {self.mistakes[0]}", "`weft sink check` shows all of them.")
        try:
            made: Sink = self.plugin.module().Sink(self.spec, project.folder)
        except WeftError:
            raise
        except Exception as error:  # whatever its code does
            raise FailedError(f"{self.plugin.origin} can't be opened: {told(error)}") from error
        return made


def names(project: FolderProject) -> Sequence[str]:
    """Every sink file of the project."""
    return project.names("sinks", ".yaml")


def check(project: FolderProject, name: str) -> Checked:
    """Check a sink file.

    Raises:
        UsageError: there is none of that name.
    """
    file = project.read("sinks", f"{name}.yaml")
    if file is None:
        raise UsageError(f"there is no sink `{name}`", nearest(name, names(project)) or "Write sinks/<name>.yaml in the project folder.")
    page = parse(file.path, file.text)
    mistakes = [Mistake(page.file, *problem.mark, problem.sentence) for problem in page.problems]
    if mistakes:
        return Checked(name, page, tuple(mistakes))
    site = Site(project, page, mistakes)
    said = site.load(SinkFile)
    if said is None:
        return Checked(name, page, tuple(sorted(mistakes)))
    flows = project.names("flows", ".yaml")
    if said.flow not in flows:
        site.mistake("flow", f"there is no flow `{said.flow}`", wrong_word=said.flow, valid=flows)
    word, plugin = _plugin(site, said.to, project)
    spec = _spec(site.below("to", word), plugin) if plugin else None
    return Checked(name, page, tuple(sorted(mistakes)), said.flow, word, spec, plugin)


def _plugin(site: Site, to: dict[str, Any], project: FolderProject) -> tuple[str, Plugin | None]:
    if len(to) != 1:
        site.mistake("to", "a sink is one word and what it is told", hint="e.g. `to: {sqlite: {file: outcomes.db}}`")
        return "", None
    word = next(iter(to))
    known = {word: plugin for word, plugin in project.plugins("sinks").items() if word == plugin.word}
    if word not in known:
        hint = "" if known else "Write plugins/sinks/<word>.py, or install a package that offers it."
        site.mistake(("to", word), f"there is no sink plugin `{word}`", wrong_word=word, valid=known, hint=hint, key=True)
    return word, known.get(word)


def _spec(at: Site, plugin: Plugin) -> Any:
    try:
        return at.load(spec_of(plugin))
    except FlowError as error:
        at.mistake((), error.sentence, hint=error.hint, key=True)
        return None


def spec_of(plugin: Plugin) -> type[SinkSpec]:
    """What the plugin may be told.

    Raises:
        FlowError: it can't be loaded, or is no sink.
    """
    module = plugin.module()
    spec = getattr(module, "Spec", None)
    if not (isinstance(spec, type) and issubclass(spec, SinkSpec)):
        raise FlowError(f"{plugin.origin} has no `Spec` that is a SinkSpec", "from connectors.sink import SinkSpec")
    if not callable(getattr(module, "Sink", None)):
        raise FlowError(f"{plugin.origin} has no class `Sink`", "class Sink: sent, send, close")
    return spec
