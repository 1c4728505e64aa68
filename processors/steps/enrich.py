"""Enrich: each row gets the fields of an object that a lookup keeps under a key made of its columns."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import BaseModel, Field

from processors.flow.duration import Duration
from processors.flow.plan import Parts, Plan, Site
from processors.lookups.cache import Cache
from processors.lookups.keys import Distinct, Template, suits
from processors.lookups.objects import FOUND, Objects
from processors.ports import Lookup
from processors.step import Batch, Leave, State, Stepped
from schemas.vocabulary import Reason, Verdict

SHOWN_CHARACTERS = 80

COUNTS = ("lookup_rows", "lookup_keys", "lookup_asked_keys", "lookup_missing_rows", "lookup_malformed_objects")

_VERDICTS = {"dead-letter": Verdict.DEAD_LETTER, "quarantine": Verdict.QUARANTINE, "review": Verdict.REVIEW}


class CacheSpec(BaseModel, frozen=True, extra="forbid"):
    """The worker's own memory of what it asked."""

    entries: int = Field(default=10_000, ge=2, le=1_000_000, description="At most so many objects.")
    fresh: Duration = Field(default=300.0, description="So long an object is used before it is asked for again.")


class Spec(BaseModel, frozen=True, extra="forbid"):
    """Adds the fields of a lookup's object."""

    name: str | None = Field(default=None, description="The step's name, if not `enrich-<into>`.")
    when: str | None = Field(default=None, description="CEL: run the step only on the rows for which it holds.")
    lookup: str = Field(description="The key, with columns in braces.", examples=["plane:{tailnum}"])
    contract: str = Field(alias="schema", description="Full name of the Avro contract of the objects, which are JSON.")
    into: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$", examples=["plane"])] = Field(
        description="Gives a column `<into>_<field>` for each field, and `<into>_found`."
    )
    missing: Literal["default", "dead-letter", "quarantine", "review"] = Field(
        description="What becomes of a row without an object: the contract's defaults, or it leaves."
    )
    cache: CacheSpec = Field(default=CacheSpec(), description="The worker's own memory of what it asked.")


@dataclass(frozen=True, slots=True)
class Enrich:
    """Adds the fields of a lookup's object. One round trip per batch, for the different keys that are not in the cache."""

    name: str
    key: Template
    objects: Objects
    into: str
    missing: str
    lookup: Lookup
    cache: Cache
    clock: Callable[[], float]  # seconds, monotonic
    stateful: bool = False

    async def run(self, batch: Batch, state: State) -> Stepped:
        """Ask, and gather the answers as columns."""
        distinct = self.key.distinct(batch.columns)
        known, at = self.cache.get(distinct.keys, self.clock())
        asked = np.flatnonzero(at < 0)
        answers, malformed = await self._ask([distinct.keys[row] for row in asked])
        first = sum(part.num_rows for part in known)
        at[asked] = first + np.arange(len(asked))
        rows = np.append(at, first + len(asked))[distinct.index]  # a null in a key finds the row of what is missing
        found = pa.concat_batches([*known, answers]).take(pa.array(rows))
        lost = np.flatnonzero(~found.column(FOUND).to_numpy(zero_copy_only=False))
        figures = (len(batch), len(distinct.keys), len(asked), len(lost), malformed)
        return self._stepped(self._with(batch, found), distinct, lost, state, dict(zip(COUNTS, map(float, figures), strict=True)))

    async def _ask(self, keys: list[str]) -> tuple[pa.RecordBatch, int]:
        """A row per key and one for what is missing."""
        if not keys:
            return self.objects.rows([])
        rows, malformed = self.objects.rows(await self.lookup.mget(keys))
        self.cache.put(keys, rows.slice(0, len(keys)), self.clock())
        return rows, malformed

    def _with(self, batch: Batch, found: pa.RecordBatch) -> Batch:
        new = [f"{self.into}_{name}" for name in found.schema.names]
        old = [name for name in batch.columns.schema.names if name not in new]
        arrays = [*(batch.columns.column(name) for name in old), *found.columns]
        return Batch(pa.RecordBatch.from_arrays(arrays, names=[*old, *new]), batch.origin, batch.intake)

    def _stepped(self, batch: Batch, distinct: Distinct, lost: npt.NDArray[np.int64], state: State, counts: Mapping[str, float]) -> Stepped:
        if self.missing == "default" or not len(lost):
            return Stepped(batch, state=state, counts=counts)
        keys = [*distinct.keys, ""]
        shown = [keys[index][:SHOWN_CHARACTERS] for index in distinct.index[lost]]
        sentences = [f"the lookup has no fitting `{key}`" if key else f"a part of the key of `{self.into}` is null" for key in shown]
        leave = Leave(lost, _VERDICTS[self.missing], Reason.MISSING, self.into, sentences=sentences)
        return Stepped(batch.without(lost), (leave,), state, counts=counts)


def plan(spec: Spec, at: Site, columns: Mapping[str, pa.DataType]) -> Plan:
    """Needs the columns in the key; gives the contract's fields and whether there was an object."""
    name = spec.name or f"enrich-{spec.into}"
    key, objects = _template(spec.lookup, at, columns), _objects(spec, at)
    gives = {f"{spec.into}_{field.name}": field.type for field in objects.schema}
    for column in sorted(gives.keys() & columns.keys()):
        at.mistake("into", f"there is a column `{column}` already")

    def build(parts: Parts) -> Enrich:
        cache = Cache(objects.schema, spec.cache.entries, spec.cache.fresh)
        return Enrich(name, key, objects, spec.into, spec.missing, parts.lookup, cache, parts.clock)

    nullable = frozenset(f"{spec.into}_{field}" for field in objects.nullable)
    return Plan(name, frozenset(key.columns), gives, build, nullable, complete=len(objects.schema) > 1, pauses=True)


def _template(text: str, at: Site, columns: Mapping[str, pa.DataType]) -> Template:
    """The key's template; one without columns after a mistake."""
    try:
        key = Template.parse(text)
    except ValueError as error:
        at.mistake("lookup", str(error))
        return Template(("",), ())
    for column in key.columns:
        if column not in columns:
            at.mistake("lookup", f"there is no column `{column}` here", wrong_word=column, valid=columns)
        elif not suits(columns[column]):
            at.mistake("lookup", f"`{column}` is {columns[column]}; a key is made of strings and integers")
    return key


def _objects(spec: Spec, at: Site) -> Objects:
    """The lookup's objects; some without fields after a mistake."""
    nothing = Objects(pa.schema([pa.field(FOUND, pa.bool_())]), ())
    contract = at.contract(spec.contract, "schema")
    if contract is None:
        return nothing
    try:
        objects = Objects.of(contract)
    except ValueError as error:
        at.mistake("schema", f"{spec.contract} does not suit a lookup: {error}")
        return nothing
    if spec.missing == "default" and objects.without_default:
        fields = ", ".join(f"`{field}`" for field in objects.without_default)
        at.mistake("missing", f"{spec.contract} has no default for {fields}", hint="give it one, or let the row leave")
    return objects
