"""One CloudEvent in the Avro format (CloudEvents 1.0.2, "Avro Event Format"): a map of attributes, and data.

The format's schema holds itself, in data that is JSON written as Avro. Nearly always data is bytes: then the first branches of its union
are enough, and what the reference reads and writes again is the value. All else is checked first, so that no depth can hurt it.
"""

import io
from collections.abc import Mapping, Sequence
from typing import Any, Final

from fastavro import parse_schema, schemaless_reader, schemaless_writer

from schemas.codecs.avro_strict import Strict
from schemas.codecs.cloudevents_attributes import Attributes, checked
from schemas.codecs.cloudevents_json import Opened
from schemas.codecs.json_values import Misfit
from schemas.vocabulary import Reason

MEDIA: Final = "application/cloudevents+avro"

_NAME: Final = "io.cloudevents.CloudEventData"
_ARRAY: Final = {"type": "array", "items": _NAME}
_INNER: Final = ["null", "boolean", {"type": "map", "values": _NAME}, _ARRAY, "double", "string"]
_DATA: Final = {"type": "record", "name": _NAME, "fields": [{"name": "value", "type": {"type": "map", "values": _INNER}}]}
_BRANCHES: Final = ["bytes", "null", "boolean", {"type": "map", "values": ["null", "boolean", _DATA, "double", "string"]}, _ARRAY, "double"]


def _event_schema(branches: list[Any]) -> Any:
    attributes = {"type": "map", "values": ["null", "boolean", "int", "string", "bytes"]}
    fields = [{"name": "attribute", "type": attributes}, {"name": "data", "type": branches}]
    return {"type": "record", "name": "io.cloudevents.CloudEvent", "fields": fields}


_WHOLE: Final = _event_schema([*_BRANCHES, "string"])
_FIRST: Final = parse_schema(_event_schema(_BRANCHES[:3]))
_PARSED: Final = parse_schema(_WHOLE)
_STRICT: Final = Strict(_WHOLE)


def opened(value: bytes) -> Opened | Misfit:
    """The event in a value, or what is wrong with it."""
    found = _plainly(value)
    if found is None:
        fault = _STRICT.fault(value)
        if fault is not None:
            return Misfit(*fault)
        found = schemaless_reader(io.BytesIO(value), _PARSED, None)
    attributes = checked(found["attribute"])
    return attributes if isinstance(attributes, Misfit) else _event(attributes, found["data"])


def enclosed(media: str, data: Sequence[bytes], attributes: Sequence[Mapping[str, str]]) -> list[bytes]:
    """Events whose data is bytes."""
    values = []
    for own, one in zip(attributes, data, strict=True):
        out = io.BytesIO()
        schemaless_writer(out, _FIRST, {"attribute": {**own, "datacontenttype": media}, "data": one})
        values.append(out.getvalue())
    return values


def _plainly(value: bytes) -> Any:
    """What the reference reads, if writing that gives the value: then the reading was right. Else None."""
    try:
        datum: Any = schemaless_reader(io.BytesIO(value), _FIRST, None)
        out = io.BytesIO()
        schemaless_writer(out, _FIRST, datum)
    except (EOFError, IndexError, ValueError, TypeError, OverflowError, MemoryError):
        return None
    return datum if out.getvalue() == value else None


def _event(attributes: Attributes, data: Any) -> Opened | Misfit:
    """Text whose content type is said is bytes in that form; all else that is no bytes is JSON."""
    if type(data) is str and "datacontenttype" in attributes.texts:
        return attributes, data.encode()
    if type(data) is bytes:
        return attributes, data
    if attributes.media != "json":
        return Misfit(Reason.NOT_CLOUDEVENT, "the CloudEvent's data is no bytes, though its datacontenttype is not JSON")
    return attributes, _json(data)


def _json(data: Any) -> Any:
    """A JSON value that was written as Avro; its objects and arrays hold `CloudEventData`, which is an object."""
    if type(data) is dict:
        return {name: _object(part) if type(part) is dict else _scalar(part) for name, part in data.items()}
    return [_object(part) for part in data] if type(data) is list else _scalar(data)


def _object(data: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _part(part) for name, part in data["value"].items()}


def _part(part: Any) -> Any:
    if type(part) is dict:
        return {name: _object(inner) for name, inner in part.items()}
    return [_object(inner) for inner in part] if type(part) is list else _scalar(part)


def _scalar(value: Any) -> Any:
    """Avro has no number without a fraction here; JSON tells them apart."""
    return int(value) if type(value) is float and value.is_integer() and abs(value) < 1 << 63 else value
