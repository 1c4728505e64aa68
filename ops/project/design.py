"""What a project will be about: the columns of its events, what is asked about them, and what there is to learn from."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from ops.flow.csv_file import COLUMN, Csv
from ops.flow.csv_forms import FORM, NO_VALUE, SAID
from ops.project.columns import Column, Repeated, avro_name, columns_of, is_name, is_taken, repeated
from processors.flow.plan import nearest
from schemas.errors import UsageError
from serving.training.csv_course import Label, Lesson

_YES = ("1", "true", "yes", "y", "t")
_NO = ("0", "false", "no", "n", "f")


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked about each event."""

    target: str  # the column that knows the answer
    positive: str  # the value that counts as yes
    words: tuple[str, str]  # what the flow decides: yes, no
    left_out: int  # rows without an answer


@dataclass(frozen=True, slots=True)
class Design:
    """A project before it is made."""

    name: str
    columns: Sequence[Column]
    question: Question
    rows: Csv  # those that have an answer
    label: Label

    @property
    def namespace(self) -> str:
        """Of the contracts."""
        return self.name.replace("-", "_")

    @property
    def event(self) -> str:
        """Full name of the contract of events."""
        return f"{self.namespace}.Event"

    @property
    def decision(self) -> str:
        """Full name of the contract of results."""
        return f"{self.namespace}.Decision"

    def of_role(self, role: str) -> list[Column]:
        """The columns of one role."""
        return [column for column in self.columns if column.role == role]

    @property
    def repeated(self) -> Repeated | None:
        """Why no column is the event's id, where one is nearly."""
        return repeated(self.rows, self.columns)

    def named(self, role: str) -> Column | None:
        """The one column of a role, if there is one."""
        return next(iter(self.of_role(role)), None)

    def event_schema(self) -> dict[str, Any]:
        """The contract of the events: what is known before the answer is."""
        fields = []
        for column in self.columns:
            field: dict[str, Any] = {"name": column.name, "type": column.avro}
            field |= {"default": None} if column.nullable else {}
            field |= {COLUMN: column.header} if column.header != column.name else {}
            field |= {FORM: column.seen.form} if column.seen.form else {}
            fields.append(field)
        return {"type": "record", "name": "Event", "namespace": self.namespace, "fields": fields}

    def decision_schema(self) -> dict[str, Any]:
        """The contract of the results."""
        who = self.named("id")
        fields: list[dict[str, Any]] = [{"name": who.name, "type": who.avro}] if who else []
        fields += [{"name": "decision", "type": "string"}, {"name": "score", "type": "double"}, {"name": "model", "type": "string"}]
        fields += [{"name": "degraded", "type": "boolean"}, {"name": "rule", "type": ["null", "string"], "default": None}]
        return {"type": "record", "name": "Decision", "namespace": self.namespace, "fields": fields}

    def lesson(self, source: str, accept_weak: bool) -> Lesson:
        """What there is to learn: numbers as they are, words as their codes."""
        learnt: dict[str, pa.Array] = {}
        for column in self.columns:
            if column.role == "number":
                learnt[column.name] = pa.array(column.values, pa.float64())
            elif column.role == "category":
                places = {word: float(at) for at, word in enumerate(column.words)}
                low = column.kind == "boolean"
                codes = [places.get(cell.lower() if low else cell, -1.0) for cell in column.cells]
                learnt[f"{column.name}_code"] = pa.array(codes, pa.float64())
        if not learnt:
            raise UsageError("no column of the file can be learnt from", "Numbers, true/false, or words of which there are at most 60.")
        asked = f"`{self.question.target}` being `{self.question.positive}`"
        return Lesson(self.name, source, pa.table(learnt), self.label, asked, accept_weak)


def design(name: str, found: Csv, target: str, positive: str | None, rename: bool, forms: Mapping[str, str] | None = None) -> Design:
    """Look at a CSV file. `forms` says how some of its columns are written.

    Raises:
        UsageError: it does not do; what, and what to do.
    """
    if target not in found.names:
        raise UsageError(f"{found.path} has no column `{target}`", nearest(target, found.names))
    forms = _known(found, forms or {})
    names = _names(found, target, rename)
    cells = found.column(target)
    answers = _answers(found, target, cells)
    yes, words = _positive(target, answers, positive)
    kept = [at for at, cell in enumerate(cells) if cell not in NO_VALUE]
    rows = Csv(found.path, found.names, tuple(found.lines[at] for at in kept), tuple(found.rows[at] for at in kept))
    label = np.array([cells[at] == yes for at in kept], np.int64)
    columns = columns_of(rows, names, target, forms)
    return Design(name, columns, Question(target, yes, words, len(cells) - len(kept)), rows, label)


def _known(found: Csv, forms: Mapping[str, str]) -> Mapping[str, str]:
    for header, form in forms.items():
        if header not in found.names:
            raise UsageError(f"{found.path} has no column `{header}`", nearest(header, found.names))
        if form not in SAID:
            raise UsageError(f"`{form}` is no form of a column", f"There are {', '.join(SAID)}.")
    return forms


def _names(found: Csv, target: str, rename: bool) -> Mapping[str, str]:
    """The Avro name of each column."""
    headers = [header for header in found.names if header != target]
    wrong = [header for header in headers if not is_name(header)]
    if wrong and not rename:
        said = ", ".join(f"`{header}`" for header in wrong[:5]) + (", ..." if len(wrong) > 5 else "")
        hint = f"Letters, digits and _ make one, e.g. `{avro_name(wrong[0])}`. Change the header, or let --rename do it."
        kind = "names that the flow's own columns have" if is_taken(wrong[0]) else "no Avro names"
        raise UsageError(f"{found.path}: these are {kind}: {said}", hint)
    names = {header: header if is_name(header) else avro_name(header) for header in headers}
    twice = [name for name, count in Counter(names.values()).items() if count > 1]
    if twice:
        alike = ", ".join(f"`{header}`" for header in headers if names[header] == twice[0])
        raise UsageError(f"{found.path}: {alike} would all be named `{twice[0]}`", "Change the header.")
    return names


def _answers(found: Csv, target: str, cells: Sequence[str]) -> Counter[str]:
    answers = Counter(cell for cell in cells if cell not in NO_VALUE)
    if len(answers) < 2:
        said = f"always `{next(iter(answers))}`" if answers else "empty in every row"
        raise UsageError(f"{found.path}: `{target}` is {said}: there is nothing to learn", "Rows of both kinds are needed.")
    return answers


def _positive(target: str, answers: Counter[str], asked: str | None) -> tuple[str, tuple[str, str]]:
    """Which answer counts as yes, and the words for yes and no."""
    common = [word for word, _ in answers.most_common()]
    if asked is not None and asked not in answers:
        raise UsageError(f"`{target}` is never `{asked}`", nearest(asked, common[:20]))
    if len(common) > 2 and asked is None:
        said = ", ".join(f"`{word}`" for word in common[:5]) + (", ..." if len(common) > 5 else "")
        raise UsageError(
            f"`{target}` has {len(common)} different values ({said}), and the model answers yes or no",
            f"Say which one counts as yes: --target '{target}={common[1]}'. For a number, add a column that says yes or no first.",
        )
    yes = asked or next((word for word in common if word.lower() in _YES), common[-1])
    no = next(word for word in common if word != yes) if len(common) == 2 else f"not-{yes}"
    if yes.lower() in _YES and no.lower() in _NO:
        return yes, ("yes", "no")
    return yes, (yes[:60], no[:64])
