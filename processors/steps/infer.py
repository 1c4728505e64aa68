"""Infer: a model's answer about each row, and below it a ladder of fallbacks: another model, a CEL rule, a person."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import BaseModel, Discriminator, Field, Tag, model_validator

from processors.cel.expression import Expression
from processors.cel.site import expression
from processors.flow.plan import Parts, Plan, Site
from processors.rungs import Answered, AskModel, AskRule, Rung, answers
from processors.step import DEGRADED, MODEL, Batch, Leave, Rows, State, Stepped
from schemas.errors import FailedError, UnreachableError
from schemas.manifest import Input, Manifest, Tensor
from schemas.vocabulary import Reason, Verdict

READY_S = 2.0
"""After a late answer a model is asked whether it is ready."""


class ModelRung(BaseModel, frozen=True, extra="forbid"):
    """Another model answers."""

    model: str = Field(description="The model's name: `models/<name>/`.")


class RuleRung(BaseModel, frozen=True, extra="forbid"):
    """A rule answers."""

    rule: str = Field(description="CEL: what the model's one output is taken to be.")


def _kind(rung: Any) -> str | None:
    if rung == "review":
        return "review"
    return next((word for word in ("model", "rule") if (word in rung if isinstance(rung, dict) else hasattr(rung, word))), None)


Fallback = Annotated[
    Annotated[ModelRung, Tag("model")] | Annotated[RuleRung, Tag("rule")] | Annotated[Literal["review"], Tag("review")],
    Discriminator(_kind, custom_error_type="rung", custom_error_message="a fallback is `{{model: NAME}}`, `{{rule: CEL}}` or `review`"),
]


class Spec(BaseModel, frozen=True, extra="forbid"):
    """Asks a model about every row, in one call a batch."""

    name: str | None = Field(default=None, description="The step's name, if not `infer-<model>`.")
    when: str | None = Field(default=None, description="CEL: run the step only on the rows for which it holds.")
    model: str = Field(description="The model's name: `models/<name>/`.")
    route: Literal["champion"] = Field(default="champion", description="Which of the model's versions answers.")
    timeout_ms: int = Field(default=250, ge=1, le=60_000, description="How long each model of the ladder may take.")
    outage: Literal["pause", "degrade"] = Field(
        default="pause", description="What happens when the model can't be reached: the flow pauses, or goes down the ladder."
    )
    fallback: tuple[Fallback, ...] = Field(default=(), max_length=8, description="Who answers instead, in order; `review` only last.")

    @model_validator(mode="after")
    def _review_is_last(self) -> Self:
        if "review" in self.fallback[:-1]:
            raise ValueError("`review` must be the last of `fallback`: nothing behind it would be asked")
        return self


class Part(NamedTuple):
    """What one rung answered for good."""

    rows: Rows
    answered: Answered
    depth: int


@dataclass(frozen=True, slots=True)
class Infer:
    """Goes down the ladder with the rows that have no answer yet."""

    name: str
    rungs: tuple[Rung, ...]
    gives: pa.Schema
    pauses: bool
    review: bool
    stateful: bool = False

    async def run(self, batch: Batch, state: State) -> Stepped:
        """Gives the model's outputs, `model` and `degraded`; rows that nobody answered for leave."""
        open_rows: Rows = np.arange(len(batch), dtype=np.int64)
        parts: list[Part] = []
        said: list[str] = []
        for depth, rung in enumerate(self.rungs):
            if not len(open_rows):
                break
            try:
                answered = await rung.ask(batch, open_rows)
            except UnreachableError as error:
                if self.pauses and depth == 0:
                    raise
                said.append(error.sentence)
                continue
            except FailedError as error:
                said.append(error.sentence)
                continue
            good = answers(answered.columns)
            parts.append(Part(open_rows[good], _kept(answered, good), depth))
            open_rows = open_rows[~good]
        counts = {"model_failed_calls": float(len(said)), "model_degraded_rows": float(sum(len(part.rows) for part in parts if part.depth))}
        leaves = (self._leave(open_rows, said),) if len(open_rows) else ()
        return Stepped(self._joined(batch, parts), leaves, state, counts=counts)

    def _leave(self, rows: Rows, said: Sequence[str]) -> Leave:
        verdict = Verdict.REVIEW if self.review else Verdict.RETRY
        return Leave(rows, verdict, Reason.MODEL_UNAVAILABLE, "", "; ".join(said) or "no rung of the ladder gave a number")

    def _joined(self, batch: Batch, parts: Sequence[Part]) -> Batch:
        """The answered rows in their order, with the answers as columns."""
        rows = np.concatenate([part.rows for part in parts]) if parts else np.empty(0, dtype=np.int64)
        made = [_columns(part) for part in parts] or [self._none()]
        if len(parts) > 1:
            order = np.argsort(rows, kind="stable")
            made = [pa.Table.from_batches(made).take(pa.array(order)).combine_chunks().to_batches()[0]] if len(rows) else [self._none()]
            rows = rows[order]
        out = batch if len(rows) == len(batch) else batch.take(rows)
        for name, column in zip(made[0].schema.names, made[0].columns, strict=True):
            out = out.with_column(name, column)
        return out

    def _none(self) -> pa.RecordBatch:
        schema = self.gives.append(pa.field(MODEL, pa.string())).append(pa.field(DEGRADED, pa.bool_()))
        return pa.RecordBatch.from_pylist([], schema=schema)


def plan(spec: Spec, at: Site, columns: Mapping[str, pa.DataType]) -> Plan:
    """Needs the inputs of the ladder's models and rules; gives the first model's outputs, `model` and `degraded`."""
    name = spec.name or f"infer-{spec.model}"
    champion = _manifest(at, "model", spec.model, columns)
    gives = _gives(at, champion)
    needs = {one.name for one in champion.inputs} if champion else set()
    rungs: list[Manifest | Expression] = [champion] if champion else []
    for path, rung in ((f"fallback.{index}", rung) for index, rung in enumerate(spec.fallback)):
        if isinstance(rung, ModelRung):
            found: Manifest | Expression | None = _fallback(at, f"{path}.model", rung.model, columns, champion)
            needs |= {one.name for one in found.inputs} if isinstance(found, Manifest) else set()
        elif isinstance(rung, RuleRung):
            found = _rule(at, f"{path}.rule", rung.rule, columns, gives)
            needs |= found.needs if isinstance(found, Expression) else set()
        else:
            continue
        rungs += [found] if found else []
    review, pauses = "review" in spec.fallback, spec.outage == "pause"

    def build(parts: Parts) -> Infer:
        return Infer(name, tuple(_rung(rung, spec, parts, gives) for rung in rungs), gives, pauses, review)

    given = {**{field.name: field.type for field in gives}, MODEL: pa.string(), DEGRADED: pa.bool_()}
    takes_s = sum(spec.timeout_ms / 1_000 + READY_S for rung in rungs if isinstance(rung, Manifest))
    return Plan(name, frozenset(needs), given, build, complete=len(gives) > 0, pauses=pauses, takes_s=takes_s)


def _rung(rung: Manifest | Expression, spec: Spec, parts: Parts, gives: pa.Schema) -> Rung:
    if isinstance(rung, Expression):
        return AskRule(rung, gives)
    return AskModel(parts.models, rung.name, spec.route, tuple(one.name for one in rung.inputs), gives, spec.timeout_ms / 1_000)


def _manifest(at: Site, path: str, name: str, columns: Mapping[str, pa.DataType]) -> Manifest | None:
    """The model's manifest; None, and mistakes, where it has none or its inputs are not these columns."""
    if at.project.read("models", f"{name}/manifest.json") is None:
        known = [found.removesuffix("/manifest") for found in at.project.names("models", ".json") if found.endswith("/manifest")]
        train = "run `weft models train`" if not known else ""
        at.mistake(path, f"there is no trained model `{name}`", wrong_word=name, valid=known, hint=train)
        return None
    file = at.open("models", f"{name}/manifest", path, ".json")
    found = file.load(Manifest) if file else None
    if found is None:
        return None
    if not found.approval.approved:
        at.mistake(path, f"{found.ident} is not approved: {found.approval.why}")
    for wrong, hint_word in _misfits(found.inputs, columns, at.nullable):
        at.mistake(path, f"{found.ident} {wrong}", wrong_word=hint_word, valid=columns if hint_word else ())
    return found


def _misfits(inputs: Sequence[Input], columns: Mapping[str, pa.DataType], nullable: frozenset[str]) -> Iterator[tuple[str, str]]:
    """What does not fit: a sentence, and the word that names no column."""
    for one in inputs:
        if one.name not in columns:
            yield f"takes `{one.name}`, which is no column here", one.name
        elif not _takes(one, columns[one.name]):
            yield f"takes `{one.name}` as {one.datatype}; the column is {columns[one.name]}", ""
        elif one.null == "refuse" and one.name in nullable:
            yield f"takes no nulls in `{one.name}`, and the column may have them", ""


def _takes(one: Input, type_: pa.DataType) -> bool:
    if pa.types.is_boolean(type_):
        return one.datatype == "BOOL"
    if one.datatype.startswith("FP"):
        return bool(pa.types.is_integer(type_) or pa.types.is_floating(type_))
    signed = one.datatype.startswith("INT")
    bits = int("".join(filter(str.isdigit, one.datatype)) or 0)
    return bool(pa.types.is_integer(type_)) and bits >= type_.bit_width and signed == bool(pa.types.is_signed_integer(type_))


def _fallback(at: Site, path: str, name: str, columns: Mapping[str, pa.DataType], champion: Manifest | None) -> Manifest | None:
    found = _manifest(at, path, name, columns)
    if found and champion and [one.name for one in found.outputs] != [one.name for one in champion.outputs]:
        said, wanted = ([one.name for one in manifest.outputs] for manifest in (found, champion))
        at.mistake(path, f"{found.ident} gives {', '.join(said)}; {champion.ident} gives {', '.join(wanted)}")
    return found


def _rule(at: Site, path: str, source: str, columns: Mapping[str, pa.DataType], gives: pa.Schema) -> Expression | None:
    if len(gives) > 1:
        at.mistake(path, f"a rule gives one value; the model gives {', '.join(gives.names)}")
        return None
    return expression(at, path, source, columns, gives.field(0).type if len(gives) else pa.float64())


def _gives(at: Site, manifest: Manifest | None) -> pa.Schema:
    """The model's outputs as columns: double, int64 or bool. Without a manifest nothing is known."""
    outputs = manifest.outputs if manifest else ()
    for one in outputs:
        if one.shape not in ((-1,), (-1, 1)):
            at.mistake("model", f"output `{one.name}` of shape {list(one.shape)} is no column: one value a row is needed")
    return pa.schema([pa.field(one.name, _type(one)) for one in outputs])


def _type(tensor: Tensor) -> pa.DataType:
    if tensor.datatype == "BOOL":
        return pa.bool_()
    return pa.float64() if tensor.datatype.startswith("FP") else pa.int64()


def _kept(answered: Answered, good: npt.NDArray[np.bool_]) -> Answered:
    return answered if good.all() else Answered(answered.columns.filter(pa.array(good)), answered.model)


def _columns(part: Part) -> pa.RecordBatch:
    """The outputs, who gave them, and whether it was a fallback."""
    rows = len(part.rows)
    made = part.answered.columns.append_column(MODEL, pa.repeat(pa.scalar(part.answered.model), rows))
    return made.append_column(DEGRADED, pa.repeat(pa.scalar(part.depth > 0), rows))
