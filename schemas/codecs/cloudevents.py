"""CloudEvents to columns and back: the data by the codec of its form, and beside it the attributes.

What is an event's data each event says itself: its `datacontenttype` is JSON (also where it says nothing) or Avro. `cloudevents_json`,
`cloudevents_avro` and `cloudevents_headers` take the events out of their records.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

import numpy as np
import pyarrow as pa

from schemas.codecs import cloudevents_avro, cloudevents_headers, cloudevents_json
from schemas.codecs.cloudevents_attributes import COLUMNS, Attributes, columns
from schemas.codecs.cloudevents_headers import PREFIX, Pairs
from schemas.codecs.cloudevents_json import Opened
from schemas.codecs.decoder import Bad, Decoded, Decoder, joined
from schemas.codecs.json_columns import JsonDecoder, parsed
from schemas.codecs.json_values import Misfit
from schemas.headers import AVRO, CONTENT_TYPE, JSON
from schemas.vocabulary import Reason


class StructuredDecoder:
    """Reads events whose record says all: the columns of their data, and behind them the attributes whose names the schema does not use."""

    def __init__(self, schema: Any, avro: Decoder, open_: Callable[[bytes], Opened | Misfit]) -> None:
        """Of the schema of the data; `avro` reads data that is Avro.

        Raises:
            ValueError: a field has no column type.
        """
        self._json, self._avro, self._open = JsonDecoder(schema), avro, open_
        self._fields = [field for field in COLUMNS if field.name not in avro.arrow_schema.names]
        self.arrow_schema: Final = pa.schema([*avro.arrow_schema, *self._fields])

    def decode(self, values: Sequence[bytes]) -> Decoded:
        """Decode n values."""
        return self.events([self._open(value) for value in values])

    def events(self, found: Sequence[Opened | Misfit]) -> Decoded:
        """Columns of n events, or of what stands where they should be."""
        bad: list[Bad] = []
        attributes: dict[int, Attributes] = {}
        packed: dict[int, bytes] = {}
        objects: dict[int, dict[str, Any]] = {}
        for row, event in enumerate(found):
            data = event if isinstance(event, Misfit) else _data(event)
            if isinstance(data, Misfit):
                bad.append(Bad(row, data.reason, data.sentence))
                continue
            attributes[row] = event[0]  # type: ignore[index]  # no Misfit
            if isinstance(data, bytes):
                packed[row] = data
            else:
                objects[row] = data
        pieces = [self._json.columns(list(objects.values()), list(objects), ()), self._in_avro(packed)]
        return self._beside(pieces, attributes, bad)

    def _in_avro(self, packed: Mapping[int, bytes]) -> Decoded:
        decoded, rows = self._avro.decode(list(packed.values())), np.fromiter(packed, np.int64, len(packed))
        return Decoded(decoded.columns, rows[decoded.good], [bad._replace(row=int(rows[bad.row])) for bad in decoded.bad])

    def _beside(self, pieces: Sequence[Decoded], attributes: Mapping[int, Attributes], bad: Sequence[Bad]) -> Decoded:
        """Data in the order of the events, and its events' attributes."""
        whole = [piece for piece in pieces if len(piece.good)]
        good = [row for piece in whole for row in piece.good.tolist()]
        wrong = [*bad, *(one for piece in pieces for one in piece.bad)]
        data = joined(self._avro.arrow_schema, [piece.columns for piece in whole], good, wrong)
        extra = columns([attributes[row] for row in data.good.tolist()], self._fields)
        arrays = [*data.columns.columns, *extra]
        return Decoded(pa.RecordBatch.from_arrays(arrays, schema=self.arrow_schema), data.good, data.bad)


class RecordDecoder(StructuredDecoder):
    """Reads events in whichever mode each record's headers say."""

    def __init__(self, schema: Any, avro: Decoder) -> None:
        """As above."""
        super().__init__(schema, avro, lambda value: cloudevents_headers.opened(value, ()))

    def decode_headed(self, values: Sequence[bytes], headers: Sequence[Pairs]) -> Decoded:
        """Decode n values."""
        return self.events([cloudevents_headers.opened(value, own) for value, own in zip(values, headers, strict=True)])


class Envelope(Protocol):
    """Writes events in structured mode around data that is written already; what it writes is what binary mode's headers say."""

    @property
    def content_type(self) -> str:
        """The media type of what it writes."""

    def around(self, data: Sequence[bytes], headers: Sequence[Pairs]) -> list[bytes]:
        """One event a row."""


class _Envelope:
    def __init__(self, write: Callable[[str, Sequence[bytes], Sequence[Mapping[str, str]]], list[bytes]], kind: str, data: str) -> None:
        self._write, self._data = write, data
        self.content_type: Final = kind

    def around(self, data: Sequence[bytes], headers: Sequence[Pairs]) -> list[bytes]:
        return self._write(self._data, data, [_attributes(own) for own in headers])


JSON_ENVELOPE: Final[Envelope] = _Envelope(cloudevents_json.enclosed, cloudevents_json.MEDIA, JSON)
AVRO_ENVELOPE: Final[Envelope] = _Envelope(cloudevents_avro.enclosed, cloudevents_avro.MEDIA, AVRO)


def _attributes(headers: Pairs) -> dict[str, str]:
    """The attributes that headers say; trace context is an extension of its own name."""
    return {
        name.removeprefix(PREFIX): value.decode(errors="replace") for name, value in headers if name != CONTENT_TYPE and value is not None
    }


def _data(event: Opened) -> bytes | dict[str, Any] | Misfit:
    """An event's data: an object where it is JSON, bytes where it is Avro."""
    attributes, data = event
    match attributes.media, data:
        case "json", bytes():
            return parsed(data)
        case "json", dict():
            return data
        case "avro", bytes():
            return data
        case "json", _:
            return Misfit(Reason.WRONG_TYPE, "the CloudEvent has no data that is a JSON object")
    kind = attributes.texts.get("datacontenttype", "")
    return Misfit(Reason.NOT_CLOUDEVENT, f"the CloudEvent's data is {kind[:80]!r}, neither JSON nor Avro")
