"""Decode: the events' bytes become columns. Stands before all other steps; a flow's `input` is its spec."""

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import BaseModel, Field

from processors.flow.plan import Parts, Plan, Site
from processors.flow.project import Project
from processors.flow.registry import registry_of
from processors.step import Batch, Leave, Rows, State, Stepped
from schemas.codecs.cloudevents_attributes import ATTRIBUTES
from schemas.codecs.decoder import Bad, Decoded, Decoder, HeadedDecoder
from schemas.codecs.encodings import Encoding, Framing, decoder, needs_registry
from schemas.errors import FlowError
from schemas.headers import OVERSIZED
from schemas.vocabulary import Reason, Verdict

_ASKING = ThreadPoolExecutor(1, "registry")
"""One call at a time, aside from the threads that others share: a registry that is silent holds up nobody else."""

Tombstones = Literal["filtered", "dead-letter"]
KEY_BYTES = 65_536
"""A key is copied to whatever an event ends as: one with a larger key is a dead letter."""
_VALUE_BYTES = 1_048_576
_OVERSIZED = "the batch it came in takes too much memory when decompressed, so it was never read"


class Spec(BaseModel, frozen=True, extra="forbid"):
    """How events are decoded."""

    name: str | None = Field(default=None, description="The step's name, if not `decode`.")
    when: None = Field(default=None, description="Every event is decoded.")
    contract: str = Field(alias="schema", description="Full name of the Avro contract of the events.")
    encoding: Encoding = Field(description="How a value is encoded. It is declared, not sniffed.")
    data: Framing = Field(default="avro-single-object", description="Of CloudEvents whose data is Avro: how it names its schema.")
    tombstones: Tombstones = Field(default="filtered", description="What an event without a value ends as.")
    value_bytes: int = Field(default=_VALUE_BYTES, description="The flow's `limits.value_bytes`: a larger value is a dead letter.")
    waits: bool = Field(default=False, description="Whether an event may wait for its schema: the flow has retries, and no order.")


@dataclass(frozen=True, slots=True)
class DecodeStep:
    """Turns values into columns; those that are none leave."""

    name: str
    decoder: Decoder
    value_bytes: int = _VALUE_BYTES
    tombstones: Tombstones = "filtered"
    asks: bool = False  # whether the decoder may ask a registry
    waits: bool = False  # whether an event may wait for its schema to be registered
    stateful: bool = False

    async def run(self, batch: Batch, state: State) -> Stepped:
        """Take out what has no value, or too large a key or value, and decode the rest."""
        keys, values = (
            given if len(given) == len(batch) else [given[row] for row in batch.origin.tolist()]
            for given in (batch.intake.keys, batch.intake.values)
        )
        leaves: list[Leave] = []
        kept = np.arange(len(values), dtype=np.int64)
        if not self._plain(keys, values):
            kept, leaves = self._unfit(keys, values, _unread(batch))
            values = [values[row] for row in kept.tolist()]
        decoded = await self._decoded([value for value in values if value is not None] if leaves else values, batch, kept)  # type: ignore[arg-type]
        leaves += self._broken(decoded.bad, kept)
        rows = kept[decoded.good]
        left = replace(batch, columns=decoded.columns, origin=batch.origin[rows])
        return Stepped(left, tuple(leaves), state, counts={"undecodable": float(len(decoded.bad))} if decoded.bad else {})

    async def _decoded(self, values: Sequence[bytes], batch: Batch, rows: Rows) -> Decoded:
        """Decode; what may have to ask a registry does not keep the worker from all else."""
        if isinstance(self.decoder, HeadedDecoder):
            given = batch.intake.headers or [()] * len(batch.intake)
            headers = [given[row] for row in batch.origin[rows].tolist()]
            decode = partial(self.decoder.decode_headed, values, headers)
        else:
            decode = partial(self.decoder.decode, values)
        return await asyncio.get_running_loop().run_in_executor(_ASKING, decode) if self.asks else decode()

    def _broken(self, bad: Sequence[Bad], rows: Rows) -> list[Leave]:
        """Dead letters by reason; a value whose schema may be registered soon is read again as `limits.retries` says."""
        alike: dict[tuple[Verdict, Reason], list[Bad]] = {}
        for found in bad:
            verdict = Verdict.RETRY if found.may_mend and self.waits else Verdict.DEAD_LETTER
            alike.setdefault((verdict, found.reason), []).append(found)
        return [Leave(rows[[one.row for one in group]], *why, sentences=[one.sentence for one in group]) for why, group in alike.items()]

    def _plain(self, keys: Sequence[bytes | None], values: Sequence[bytes | None]) -> bool:
        """Whether every row has a value, and none is too large."""
        try:
            fits = max(map(len, values), default=0) <= self.value_bytes  # type: ignore[arg-type]
        except TypeError:
            return False
        return fits and max(map(len, filter(None, keys)), default=0) <= KEY_BYTES

    def _unfit(
        self, keys: Sequence[bytes | None], values: Sequence[bytes | None], unread: npt.NDArray[np.bool_]
    ) -> tuple[Rows, list[Leave]]:
        """The rows to decode, and those that leave before."""
        named, sizes = _sizes(keys), _sizes(values)
        hard = named > KEY_BYTES
        empty, large = np.flatnonzero((sizes < 0) & ~hard & ~unread), np.flatnonzero((sizes > self.value_bytes) & ~hard)
        leaves = []
        if hard.any():
            sentences = [f"the key has {size} bytes, and at most {KEY_BYTES} may be" for size in named[hard].tolist()]
            leaves.append(Leave(np.flatnonzero(hard), Verdict.DEAD_LETTER, Reason.TOO_LARGE, sentences=sentences))
        if unread.any():
            leaves.append(Leave(np.flatnonzero(unread), Verdict.DEAD_LETTER, Reason.TOO_LARGE, sentence=_OVERSIZED))
        if len(empty):
            leaves.append(Leave(empty, Verdict(self.tombstones), Reason.TOMBSTONE, sentence="the event has no value"))
        if len(large):
            sentences = [f"the value has {size} bytes, limits.value_bytes allows {self.value_bytes}" for size in sizes[large].tolist()]
            leaves.append(Leave(large, Verdict.DEAD_LETTER, Reason.TOO_LARGE, sentences=sentences))
        return np.flatnonzero((sizes >= 0) & (sizes <= self.value_bytes) & ~hard), leaves


def _unread(batch: Batch) -> npt.NDArray[np.bool_]:
    """Which rows were never read: only those without key and value may be."""
    intake, rows = batch.intake, batch.origin.tolist()
    if intake.headers is None:
        return np.zeros(len(rows), np.bool_)
    bare = [intake.keys[row] is None and intake.values[row] is None for row in rows]
    found = (none and list(intake.headers[row]) == [OVERSIZED] for row, none in zip(rows, bare, strict=True))
    return np.fromiter(found, np.bool_, len(rows))


def _sizes(given: Sequence[bytes | None]) -> Rows:
    return np.fromiter((-1 if one is None else len(one) for one in given), np.int64, len(given))


def plan(spec: Spec, at: Site, columns: Mapping[str, pa.DataType]) -> Plan:
    """Needs nothing, gives the contract's fields, and of CloudEvents their attributes."""
    name = spec.name or "decode"
    contract = at.contract(spec.contract, "schema")
    schema = pa.schema([])
    try:
        if contract is not None:
            schema = _decoder(spec, at.project).arrow_schema
    except ValueError as error:
        at.mistake("schema", str(error))
    except FlowError as error:
        at.mistake("encoding", error.sentence, hint=error.hint)

    fields = () if contract is None else contract.schema.get("fields", ())
    if taken := sorted(ATTRIBUTES & {field["name"] for field in fields}):
        at.mistake("schema", f"{spec.contract} has a field `{taken[0]}`, which is an attribute of a CloudEvent", hint="rename the field")

    def build(parts: Parts) -> DecodeStep:
        asks = needs_registry(spec.encoding, spec.data) and parts.project.remote is not None
        return DecodeStep(name, _decoder(spec, parts.project), spec.value_bytes, spec.tombstones, asks, asks and spec.waits)

    gives = {field.name: field.type for field in schema}
    return Plan(name, frozenset(), gives, build, frozenset(field.name for field in schema if field.nullable))


def _decoder(spec: Spec, project: Project) -> Decoder:
    contracts = project.contracts()
    registry = registry_of(project) if needs_registry(spec.encoding, spec.data) else None
    return decoder(contracts[spec.contract], spec.encoding, contracts, registry, spec.data)
