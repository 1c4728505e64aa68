"""What a step module offers to the compiler: a Spec, and a plan made of it where it stands.

A step is a module `processors/steps/<word>.py` with two names:

    class Spec(pydantic.BaseModel, extra="forbid", frozen=True):   # what stands under the step's word in a flow file
        name: str | None = None      # every Spec has these two; the compiler sees to `when`
        when: str | None = None

    def plan(spec: Spec, at: Site, columns: Mapping[str, pa.DataType]) -> Plan

`plan` type-checks against the columns that are there, tells its mistakes to `at`, and always answers with a Plan, so that the steps
behind it are checked too. It raises for nothing that a person can write. `Plan.build` is only called when the flow has no mistakes. A
Spec whose own meaning of `when` is not "run the step only on these rows" sets `own_when: ClassVar[bool] = True`; filter and decide do.
"""

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import pyarrow as pa
import pydantic

from processors.flow.project import Kind, Project
from processors.flow.yaml import Mark, Page, Path, parse
from processors.ports import NOBODY, Lookup, Models, Samples
from processors.step import Step
from schemas.contracts import Contract
from schemas.errors import FlowError

Model = TypeVar("Model", bound=pydantic.BaseModel)


@dataclass(frozen=True, slots=True, order=True)
class Mistake:
    """One thing that is wrong, where it stands, and what to do."""

    file: str
    line: int  # from 1
    column: int  # from 1
    sentence: str
    hint: str = ""  # what to do, e.g. "did you mean `tailnum`?"

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.sentence}" + (f" ({self.hint})" if self.hint else "")


@dataclass(frozen=True, slots=True)
class Parts:
    """What steps are built with: the ports that they may await, a clock, and the flow's files."""

    lookup: Lookup
    models: Models
    clock: Callable[[], float]  # seconds, monotonic
    project: Project
    samples: Samples = NOBODY
    flow: str = ""  # name@version


@dataclass(frozen=True, slots=True)
class Plan:
    """A step checked where it stands: what it needs, what it gives, how it is built."""

    name: str  # unique within the flow, e.g. `enrich-plane`; two alike are a mistake
    needs: frozenset[str]  # columns
    gives: Mapping[str, pa.DataType]  # columns added or replaced
    build: Callable[[Parts], Step]
    nullable: frozenset[str] = frozenset()  # of those given
    complete: bool = True  # False where a mistake (told) keeps it from knowing all that it gives
    takes_s: float = 0.0  # how long it may wait for its ports, where it is told so
    pauses: bool = False  # an unreachable port pauses the lane at this step (else it degrades by itself)


class Site:
    """A place in a file: collects the mistakes made there, and opens the files that it names."""

    def __init__(
        self, project: Project, page: Page, mistakes: list[Mistake], path: Path = (), nullable: frozenset[str] = frozenset()
    ) -> None:
        self.project = project
        self.page = page
        self.mistakes = mistakes
        self.path = path
        self.nullable = nullable  # those of the columns that are there which may be null
        self.later: Mapping[str, str] = {}  # for columns that are not there yet: what to do
        self.unsure: frozenset[str] = frozenset()  # the columns that are there, where a step before is broken and others may be missing

    @property
    def data(self) -> Any:
        """The plain value that stands here; None if nothing does."""
        value = self.page.data
        for part in self.path:
            try:
                value = value[part]
            except (KeyError, IndexError, TypeError):
                return None
        return value

    def below(self, *path: str | int) -> "Site":
        """A place inside this one."""
        return self._like(Site(self.project, self.page, self.mistakes, (*self.path, *path), self.nullable))

    def mistake(
        self,
        path: str | Path,
        sentence: str,
        *,
        wrong_word: str = "",
        valid: Iterable[str] = (),
        hint: str = "",
        key: bool = False,
    ) -> None:
        """Say what is wrong at `path` below here (`"fallback.0.model"`, or a tuple of keys; `key` points at the key instead of the value).

        With `wrong_word` and the `valid` ones the hint is the nearest of these, else the list of them.
        """
        words = frozenset(valid)
        if self.unsure and words == self.unsure:
            return
        mark = self.page.mark((*self.path, *_steps(path)), key)
        self._add(mark, sentence, hint or self.later.get(wrong_word) or nearest(wrong_word, words))

    def open(self, kind: Kind, name: str, said_at: str | Path = "", suffix: str = ".yaml", required: bool = True) -> "Site | None":
        """The file `<kind>/<name><suffix>`, YAML or JSON, as a place of its own.

        None where there is no such file, and a mistake at `said_at` here if `required`; None also where it can't be read (told there).
        """
        file = self.project.read(kind, name + suffix)
        if file is None:
            if required:
                where = f"{kind}/{name}{suffix}"
                self.mistake(said_at, f"there is no file {where}", wrong_word=name, valid=self.project.names(kind, suffix))
            return None
        page = parse(file.path, file.text)
        site = self._like(Site(self.project, page, self.mistakes, nullable=self.nullable))
        for problem in page.problems:
            site._add(problem.mark, problem.sentence, "")
        return None if page.problems else site

    def contract(self, name: str, said_at: str | Path) -> Contract | None:
        """The Avro contract of that full name; None, and a mistake at `said_at` here, where there is none."""
        try:
            contracts = self.project.contracts()
        except FlowError as error:
            self.mistake(said_at, error.sentence, hint=error.hint)
            return None
        if name not in contracts:
            self.mistake(said_at, f"there is no contract `{name}` in schemas/", wrong_word=name, valid=contracts)
            return None
        return contracts[name]

    def load(self, model: type[Model]) -> Model | None:
        """What stands here, as a pydantic model; None and its mistakes where it is none."""
        try:
            return model.model_validate(self.data)
        except pydantic.ValidationError as errors:
            for error in errors.errors(include_url=False):
                self._model_mistake(model, error)
            return None

    def _model_mistake(self, model: type[pydantic.BaseModel], error: Any) -> None:
        path = self._standing(error["loc"])
        kind, last = error["type"], str(error["loc"][-1]) if error["loc"] else ""
        if kind == "extra_forbidden":
            words = _fields(model, path)
            self.mistake(path, f"there is no word `{last}` here", wrong_word=last, valid=words, key=True)
        elif kind == "missing":
            self.mistake(path, f"`{last}` is missing here")
        elif kind == "literal_error":
            valid = [part.strip(" '") for part in error["ctx"]["expected"].replace(" or ", ", ").split(",")]
            self.mistake(path, f"`{error['input']}` can't stand here", wrong_word=str(error["input"]), valid=valid)
        elif kind == "string_pattern_mismatch":
            pattern, examples = error["ctx"]["pattern"], _examples(model, path)
            self.mistake(path, f"`{error['input']}` is not of the form {pattern}", hint=f"e.g. `{examples[0]}`" if examples else "")
        elif kind == "string_type" and isinstance(error["input"], int | float):
            self.mistake(path, f"{error['input']} is a number, but text is needed here", hint="write it in quotes")
        else:
            sentence = error["msg"].removeprefix("Value error, ")
            sentence = sentence[:1].lower() + sentence[1:]
            self.mistake(
                path,
                sentence.replace("input should be", "this must be")
                .partition(" or instance")[0]
                .replace("valid dictionary", "map of words"),
            )

    def _standing(self, loc: Sequence[str | int]) -> Path:
        """A pydantic location without the parts that are not in the file (tags of unions, missing keys)."""
        value, path = self.data, []
        for part in loc:
            there = (isinstance(value, dict) and part in value) or (isinstance(value, list) and isinstance(part, int) and part < len(value))
            if there:
                path.append(part)
                value = value[part]
        return tuple(path)

    def _like(self, site: "Site") -> "Site":
        site.later, site.unsure = self.later, self.unsure
        return site

    def _add(self, mark: Mark, sentence: str, hint: str) -> None:
        found = Mistake(self.page.file, mark.line, mark.column, sentence, hint)
        if found not in self.mistakes:
            self.mistakes.append(found)


def nearest(wrong: str, valid: Iterable[str]) -> str:
    """A hint: the nearest valid word, else a list of some."""
    words = sorted(set(valid))
    if not words:
        return ""
    close = difflib.get_close_matches(wrong, words, n=1, cutoff=0.6)
    if close:
        return f"did you mean `{close[0]}`?"
    return "valid: " + ", ".join(f"`{word}`" for word in words[:12]) + (", ..." if len(words) > 12 else "")


def _steps(path: str | Path) -> Path:
    if not isinstance(path, str):
        return path
    return tuple(int(part) if part.isdigit() else part for part in path.split(".") if part)


def _fields(model: Any, path: Path) -> Sequence[str]:
    """The words of the model at the way to an extra word."""
    return [info.alias or name for name, info in _innermost(model, path[:-1]).model_fields.items()]


def _examples(model: Any, path: Path) -> Sequence[Any]:
    """What the field at the path gives as examples."""
    words = [part for part in path if isinstance(part, str)]
    infos = {info.alias or name: info for name, info in _innermost(model, path[:-1]).model_fields.items()}
    return (infos[words[-1]].examples or ()) if words and words[-1] in infos else ()


def _innermost(model: Any, path: Path) -> Any:
    """The model at the way."""
    for part in path:
        infos = {info.alias or name: info for name, info in model.model_fields.items()}
        if isinstance(part, str) and part in infos:
            model = _model_in(infos[part].annotation) or model
    return model


def _model_in(annotation: Any) -> Any:
    """The first pydantic model inside an annotation."""
    if isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel):
        return annotation
    found = (_model_in(inner) for inner in getattr(annotation, "__args__", ()))
    return next((model for model in found if model is not None), None)
