"""What the report reads: a block of the ledger as columns, with the times of its events and of their arrival."""

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import cbor2
import numpy as np
import pyarrow as pa
from fastavro.schema import SchemaParseException

from connectors.log import Reader, Records
from ops.audit.find import blocks
from ops.audit.report import Progress, silent
from ops.audit.rows import OWN, Row
from ops.daily.desk import Desk
from ops.report.timeline import Ints, Times
from schemas.codecs.avro_columns import AvroDecoder
from schemas.errors import FailedError, UnreadableError
from schemas.positions import Source
from streams.ledger.block import Block
from streams.ledger.leaf import well_typed

NEVER: Final = np.iinfo(np.int64).min
"""The time of what has none."""

_BROKEN: Final = (ValueError, TypeError, KeyError, AttributeError, SchemaParseException)


@dataclass(frozen=True, slots=True)
class Slab:
    """One block: n rows, a part of which has details."""

    block: Block
    written_ms: int
    rows: Sequence[Row]
    noted: Ints  # the rows that have details
    details: pa.RecordBatch  # of these
    event_ms: Times  # (n,) when it happened; NEVER where that is not known
    arrived_ms: Times  # (n,) when its record was written to the input topic; NEVER where that is not known

    def field(self, number: int) -> list[Any]:
        """One field of each leaf."""
        return [row[number] for row in self.rows]

    def written(self) -> Times:
        """(n,) when the outcome was written."""
        return np.full(len(self.rows), self.written_ms, np.int64)

    def text(self, name: str) -> list[str | None]:
        """A column of the details, by row; None where there is none."""
        values: list[str | None] = [None] * len(self.rows)
        if name in self.details.schema.names:
            for row, value in zip(self.noted.tolist(), self.details.column(name).to_pylist(), strict=True):
                values[row] = value
        return values


@dataclass(slots=True)
class Slabs:
    """Reads a flow's ledger, partition by partition, with the input topic beside it."""

    desk: Desk
    progress: Progress = silent

    async def read(self) -> AsyncIterator[Slab]:
        """All that the ledger holds now.

        Raises:
            FailedError: a record of the ledger is no block, or can't be unpacked.
        """
        reader, topic = self.desk.reader, self.desk.flow.topics.ledger
        extents = [await reader.extent(Source(topic, number)) for number in range(await reader.partitions(topic))]
        total, before = sum(extent.high - extent.low for extent in extents), 0
        for number, extent in enumerate(extents):
            arrivals = Arrivals(reader, Source(self.desk.flow.topics.input, number))
            async for place, written_ms, block in blocks(reader, Source(topic, number)):
                yield await self._slab(block, written_ms, arrivals)
                self.progress(before + place.offset + 1 - extent.low, total)
            before += extent.high - extent.low
        self.progress(total, total)

    async def _slab(self, block: Block, written_ms: int, arrivals: "Arrivals") -> Slab:
        try:
            rows = _rows(block)
            noted, details = _details(block)
        except ValueError as error:
            sentence = f"A block of {block.origin} (offsets {block.first} to {block.next}) can't be read: {error}."
            raise FailedError(sentence, "weft audit verify says what else is wrong.") from error
        offsets = np.array([row[OWN][2] for row in rows], np.int64)
        arrived, column = await arrivals.of(block, offsets), self.desk.flow.time_column
        event = np.where(arrived == NEVER, written_ms, arrived) if column is None else _times(column, len(rows), noted, details)
        return Slab(block, written_ms, rows, noted, details, event, arrived)


class Arrivals:
    """When the records of one input partition were written: read once, in offset order, beside the ledger."""

    def __init__(self, reader: Reader, source: Source) -> None:
        self._reader, self._source = reader, source
        self._stream: AsyncIterator[Records] | None = None
        self._held: Records | None = None
        self._topic_id: str | None = None

    async def of(self, block: Block, offsets: Ints) -> Times:
        """The time of each of these offsets; NEVER where the record is gone, or is none of this topic."""
        found = np.full(len(offsets), NEVER, np.int64)
        if block.source != self._source or not len(offsets) or block.topic_id != await self._topic():
            return found
        while (held := await self._holding(int(offsets[0]), int(offsets[-1]))) is not None:
            at = np.clip(np.searchsorted(held.offsets, offsets), 0, len(held) - 1)
            here = held.offsets[at] == offsets
            found[here] = held.timestamps_ms[at[here]]
            if held.offsets[-1] >= offsets[-1]:
                break
            self._held = None
        return found

    async def _holding(self, first: int, last: int) -> Records | None:
        """The next records, some of which may lie in between."""
        while self._held is None or self._held.offsets[-1] < first:
            if self._stream is None:
                self._stream = aiter(self._reader.read(self._source, first))
            try:
                self._held = await anext(self._stream, None)
            except UnreadableError:
                self._held = None
            if self._held is None:
                return None
        return self._held if self._held.offsets[0] <= last else None

    async def _topic(self) -> str:
        if self._topic_id is None:
            self._topic_id = (await self._reader.extent(self._source)).topic_id
        return self._topic_id


def _rows(block: Block) -> list[Row]:
    """The leaves' fields. Whether each has its one encoding, place and order is the audit's to prove.

    Raises:
        ValueError: one is no leaf.
    """
    try:
        rows: list[Row] = list(map(cbor2.loads, block.leaves()))
    except (cbor2.CBORDecodeError, TypeError, OverflowError, MemoryError, RecursionError) as error:
        raise ValueError(f"it holds what is no leaf: {error}") from error
    if not all(map(well_typed, rows)):
        raise ValueError("it holds what is no leaf")
    return rows


def _details(block: Block) -> tuple[Ints, pa.RecordBatch]:
    """The rows that have details, and these."""
    decoder = _decoder(block.details_schema)
    given = [(row, detail) for row, detail in enumerate(block.details()) if detail]
    if decoder is None or not given:
        return np.empty(0, np.int64), _nothing()
    decoded = decoder[0].decode([detail for _, detail in given])
    rows = np.array([row for row, _ in given], np.int64)[decoded.good]
    return rows, decoded.columns.rename_columns(decoder[1])


@lru_cache(maxsize=16)
def _decoder(schema: str) -> tuple[AvroDecoder, list[str]] | None:
    """Reads details of a schema, under the columns' own names; None where they can't be read so."""
    try:
        told = json.loads(schema)
        names = [str(one.get("column", one["name"])) for one in told["fields"]]
        return AvroDecoder({**told, "name": f"{told.get('namespace', 'weft.details')}.{told['name']}"}), names
    except _BROKEN:
        return None


def _nothing() -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([], pa.schema([]))


def _times(column: str, count: int, noted: Ints, details: pa.RecordBatch) -> Times:
    """The event time of each row."""
    found = np.full(count, NEVER, np.int64)
    if column in details.schema.names and pa.types.is_timestamp(details.schema.field(column).type):
        values = details.column(column).cast(pa.timestamp("ms"), safe=False).cast(pa.int64())
        found[noted] = values.fill_null(int(NEVER)).to_numpy(zero_copy_only=False)
    return found
