"""One CloudEvent in the JSON format (CloudEvents 1.0.2, "JSON Event Format"): an object with the attributes and `data` or `data_base64`."""

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

from schemas.codecs.cloudevents_attributes import ABSENT, Attributes, checked
from schemas.codecs.json_columns import parsed
from schemas.codecs.json_values import Misfit
from schemas.vocabulary import Reason

MEDIA: Final = "application/cloudevents+json"

Opened = tuple[Attributes, Any]
"""The attributes, and the data: bytes as they are, or what JSON says."""


def opened(value: bytes) -> Opened | Misfit:
    """The event in a value, or what is wrong with it."""
    found = parsed(value)
    if isinstance(found, Misfit):
        return found
    data, packed = found.pop("data", ABSENT), found.pop("data_base64", None)
    attributes = checked(found)
    if isinstance(attributes, Misfit):
        return attributes
    if packed is not None:
        data = _unpacked(packed) if data in (ABSENT, None) else _wrong("the CloudEvent has data and data_base64, and only one may be")
    elif attributes.media != "json":
        data = _wrong("the CloudEvent's data is text, though its datacontenttype is not JSON; data_base64 is for bytes")
    return data if isinstance(data, Misfit) else (attributes, data)


def enclosed(media: str, data: Sequence[bytes], attributes: Sequence[Mapping[str, str]]) -> list[bytes]:
    """Events whose data is JSON."""
    both = zip(attributes, data, strict=True)
    return [orjson.dumps({**own, "datacontenttype": media, "data": orjson.Fragment(one)}) for own, one in both]


def _wrong(sentence: str) -> Misfit:
    return Misfit(Reason.NOT_CLOUDEVENT, sentence)


def _unpacked(packed: Any) -> bytes | Misfit:
    try:
        return base64.b64decode(packed, validate=True) if type(packed) is str else _wrong("the CloudEvent's data_base64 is no text")
    except (binascii.Error, ValueError):
        return _wrong("the CloudEvent's data_base64 is no base64")
