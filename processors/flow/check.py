"""Checks a flow and everything that it names, from the input's contract to the result's, and says all mistakes at once."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from processors.flow.last import check_result
from processors.flow.placing import Columns, Placed, place
from processors.flow.plan import Mistake, Site, nearest
from processors.flow.project import Project, RecordingProject
from processors.flow.registry import registry_of
from processors.flow.spec import FlowFile, Input, Limits, Result
from processors.flow.writers import ResultWriter, result_writer
from processors.flow.yaml import Page, parse
from schemas.codecs.encodings import needs_registry
from schemas.errors import FlowError


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check found out. It may only be compiled when there are no mistakes."""

    page: Page
    spec: FlowFile | None
    placed: tuple[Placed, ...] = ()  # decode first
    columns: Columns = field(default_factory=dict)  # behind the last step
    mistakes: tuple[Mistake, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)  # every file that was read, by `<kind>/<name>`

    def sound(self) -> FlowFile:
        """The flow's file, which has no mistakes.

        Raises:
            FlowError: it has.
        """
        if self.mistakes or self.spec is None:
            count = len(self.mistakes)
            what = "a mistake" if count == 1 else f"{count} mistakes"
            raise FlowError(f"the flow has {what}: {self.mistakes[0]}", "`weft flow check` shows all of them.")
        return self.spec


def check(project: Project, name: str) -> Checked:
    """Check the flow of that name. Never raises for what stands in its files.

    Raises:
        FlowError: there is no such flow.
    """
    project = RecordingProject(project)
    file = project.read("flows", f"{name}.yaml")
    if file is None:
        hint = nearest(name, project.names("flows", ".yaml")) or "Write flows/<name>.yaml in a project folder and name it with --project."
        raise FlowError(f"there is no flow `{name}`", hint)
    page = parse(file.path, file.text)
    mistakes = [Mistake(page.file, *problem.mark, problem.sentence) for problem in page.problems]
    if page.problems:
        return Checked(page, None, mistakes=_sorted(mistakes))
    site = Site(project, page, mistakes)
    spec = site.load(FlowFile)
    if not isinstance(page.data, dict):
        return Checked(page, None, mistakes=_sorted(mistakes))
    unheard = Site(project, page, [])  # where a part of the file is wrong, the others are checked all the same
    told = spec.input if spec else unheard.below("input").load(Input)
    result = spec.result if spec else unheard.below("result").load(Result)
    if spec:
        _check_names(site, spec, name)
    placement = place(site, told, spec.limits if spec else Limits())
    if result and check_result(site, result, placement):
        try:
            result_of(project, result)
        except FlowError as error:
            site.mistake("result.encoding", error.sentence, hint=error.hint)
    return Checked(page, spec, placement.steps, placement.columns, _sorted(mistakes), project.files)


def result_of(project: Project, told: Result) -> ResultWriter:
    """The writer of a flow's results.

    Raises:
        FlowError: the contract can't be written so.
    """
    registry = registry_of(project) if needs_registry(told.encoding) else None
    return result_writer(project.contracts()[told.contract], told.encoding, registry, f"{told.topic}-value")


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
