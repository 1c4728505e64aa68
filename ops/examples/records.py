"""Rows of an example as records of a topic: encoded, keyed, with the headers of a CloudEvent."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa

from connectors.log import Outgoing
from schemas import headers as names
from schemas.codecs.encodings import Encoding, encoder, envelope
from schemas.contracts import Contract

CHUNK_ROWS: Final = 20_000

Headers = list[tuple[str, bytes | None]]


@dataclass(frozen=True, slots=True)
class Kind:
    """What the events of an example are, and which columns say their id and time."""

    contract: str  # full name
    source: str
    id: str
    time: str  # a timestamp
    key: Callable[[pa.Table], Any]  # strings

    def records(self, rows: pa.Table, contract: Contract, encoding: Encoding, topic: str) -> Iterator[Outgoing]:
        """In chunks."""
        encode, around = encoder(contract, encoding), envelope(encoding)
        for start in range(0, len(rows), CHUNK_ROWS):
            chunk = rows.slice(start, CHUNK_ROWS).combine_chunks()
            batch = pa.RecordBatch.from_arrays([chunk[name].combine_chunks() for name in chunk.column_names], names=chunk.column_names)
            keys = self.key(chunk).cast(pa.binary()).to_pylist()
            headers, values = self._headers(chunk, (around or encode).content_type), encode.encode(batch)
            yield Outgoing(topic, keys, values if around is None else around.around(values, headers), headers)

    def heads(self, event_id: str, time: str, content_type: str) -> Headers:
        """The headers of one event: CloudEvents in Kafka's binary mode."""
        return [*self._constant(content_type), (names.CE_ID, event_id.encode()), (names.CE_TIME, time.encode())]

    def _constant(self, content_type: str) -> Headers:
        told = {names.CE_SPECVERSION: names.SPECVERSION, names.CE_TYPE: self.contract, names.CE_SOURCE: self.source}
        return [(name, text.encode()) for name, text in {**told, names.CONTENT_TYPE: content_type}.items()]

    def _headers(self, chunk: pa.Table, content_type: str) -> Sequence[Headers]:
        constant = self._constant(content_type)
        ids: list[bytes] = chunk[self.id].cast(pa.binary()).to_pylist()
        at = chunk[self.time].cast(pa.timestamp("ms")).to_numpy()
        times: list[str] = np.datetime_as_string(at, unit="s").tolist()
        return [[*constant, (names.CE_ID, own), (names.CE_TIME, f"{time}Z".encode())] for own, time in zip(ids, times, strict=True)]
