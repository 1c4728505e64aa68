"""CloudEvents in Kafka's structured mode: a JSON envelope with the event in `data` (CloudEvents 1.0, JSON format)."""

import os
from collections.abc import Sequence
from typing import Any, Final

import orjson
import pyarrow as pa

from schemas.codecs.decoder import Bad, Decoded
from schemas.codecs.json_columns import JsonDecoder, parsed
from schemas.codecs.json_values import MISSING, Misfit, Read, reader
from schemas.codecs.json_write import JsonEncoder
from schemas.headers import CLOUDEVENTS_JSON, SPECVERSION
from schemas.vocabulary import Reason

# the envelope's attributes that become columns: ce_id, ce_source, ...
_ATTRIBUTES: Final = (
    pa.field("ce_id", pa.string(), nullable=False),
    pa.field("ce_source", pa.string(), nullable=False),
    pa.field("ce_type", pa.string(), nullable=False),
    pa.field("ce_subject", pa.string()),
    pa.field("ce_time", pa.timestamp("us", "UTC")),
)
_TIME: Final[Read] = reader({"type": "long", "logicalType": "timestamp-micros"})


class CloudEventsDecoder:
    """Reads envelopes: the columns of `data`, and behind them those attributes whose names the schema does not use."""

    def __init__(self, schema: Any) -> None:
        """Of the schema of `data`.

        Raises:
            ValueError: a field has no column type.
        """
        self._data = JsonDecoder(schema)
        self._attributes = [field for field in _ATTRIBUTES if field.name not in self._data.arrow_schema.names]
        self.arrow_schema: Final = pa.schema([*self._data.arrow_schema, *self._attributes])

    def decode(self, values: Sequence[bytes]) -> Decoded:
        """Decode n values."""
        bad: list[Bad] = []
        rows: list[int] = []
        envelopes: dict[int, dict[str, Any]] = {}
        for row, value in enumerate(values):
            found = parsed(value)
            misfit = found if isinstance(found, Misfit) else _check(found)
            if misfit is not None:
                bad.append(Bad(row, misfit.reason, misfit.sentence))
            elif isinstance(found, dict):
                envelopes[row] = found
                rows.append(row)
        data = self._data.columns([envelope["data"] for envelope in envelopes.values()], rows, bad)
        kept = [envelopes[row] for row in data.good.tolist()]
        extra = [_attribute(field, kept) for field in self._attributes]
        return Decoded(pa.RecordBatch.from_arrays([*data.columns.columns, *extra], schema=self.arrow_schema), data.good, data.bad)


class CloudEventsEncoder:
    """Writes envelopes. `id` is the column `ce_id` where there is one, else random; so are `source` and `type`, else what was given."""

    content_type: Final = CLOUDEVENTS_JSON

    def __init__(self, schema: Any, kind: str, source: str = "/weft") -> None:
        """Of the schema of `data`.

        Raises:
            ValueError: a field has no column type.
        """
        self._data = JsonEncoder(schema)
        self._kind = kind
        self._source = source
        self.arrow_schema: Final = self._data.arrow_schema

    def encode(self, columns: pa.RecordBatch) -> list[bytes]:
        """One value a row.

        Raises:
            ValueError: a row does not fit the schema.
        """
        count = columns.num_rows
        given = {name: columns.column(name).to_pylist() for name in ("ce_id", "ce_source", "ce_type") if name in columns.schema.names}
        ids = given.get("ce_id") or [os.urandom(16).hex() for _ in range(count)]
        sources = given.get("ce_source") or [self._source] * count
        kinds = given.get("ce_type") or [self._kind] * count
        start = {"specversion": SPECVERSION, "datacontenttype": "application/json"}
        return [
            orjson.dumps(start | {"id": own, "source": source, "type": kind, "data": data})
            for own, source, kind, data in zip(ids, sources, kinds, self._data.objects(columns), strict=True)
        ]


def _check(envelope: dict[str, Any]) -> Misfit | None:
    """What is wrong with an envelope."""
    if envelope.get("specversion") != SPECVERSION:
        return Misfit(Reason.WRONG_TYPE, f"the value is no CloudEvent of version {SPECVERSION}")
    for name in ("id", "source", "type"):
        if type(envelope.get(name)) is not str or not envelope[name]:
            return Misfit(Reason.WRONG_TYPE, f"the CloudEvent's {name} is missing or no text")
    if type(envelope.get("subject", "")) is not str:
        return Misfit(Reason.WRONG_TYPE, "the CloudEvent's subject is no text")
    if "time" in envelope and type(_time(envelope["time"])) is not int:
        return Misfit(Reason.WRONG_TYPE, "the CloudEvent's time is no RFC 3339 timestamp")
    return None if type(envelope.get("data")) is dict else Misfit(Reason.WRONG_TYPE, "the CloudEvent's data is no JSON object")


def _time(text: Any) -> int | None:
    """Microseconds since 1970; None if it is no time."""
    try:
        return None if type(text) is not str else int(_TIME(text))
    except Misfit:
        return None


def _attribute(field: pa.Field, envelopes: Sequence[dict[str, Any]]) -> pa.Array:
    """One attribute of all envelopes."""
    found = [envelope.get(field.name.removeprefix("ce_"), MISSING) for envelope in envelopes]
    values = [None if value is MISSING else value for value in found]
    if pa.types.is_timestamp(field.type):
        return pa.array([_time(value) for value in values], pa.int64()).cast(field.type)
    return pa.array(values, field.type)
