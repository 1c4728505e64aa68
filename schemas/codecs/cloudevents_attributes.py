"""The attributes of a CloudEvent: which there must be, what each may say, and the columns that they become (CloudEvents 1.0.2).

A required attribute is text that is not empty: `id`, `source` (a URI-reference), `specversion` (1.0), `type`. Optional ones: `subject`,
`dataschema` (a URI), `datacontenttype` (a media type), `time` (RFC 3339). All others are extensions. A name has lower-case letters and
digits only; a value is text without control characters, a boolean, or a whole number of 32 bits; null is as good as not there.
"""

import base64
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final, NamedTuple

import pyarrow as pa

from schemas.codecs.json_values import Misfit
from schemas.headers import SPECVERSION
from schemas.vocabulary import Reason

ABSENT: Final = object()  # stands for data that is not there

CE_EXTENSIONS: Final = "ce_extensions"
COLUMNS: Final = (
    pa.field("ce_id", pa.string(), nullable=False),
    pa.field("ce_source", pa.string(), nullable=False),
    pa.field("ce_type", pa.string(), nullable=False),
    pa.field("ce_subject", pa.string()),
    pa.field("ce_time", pa.timestamp("us", "UTC")),
    pa.field("ce_dataschema", pa.string()),
    pa.field(CE_EXTENSIONS, pa.map_(pa.string(), pa.field("value", pa.string(), nullable=False)), nullable=False),
)
"""What becomes of attributes. Extensions are text, as CloudEvents write booleans and whole numbers; bytes are base64."""

ATTRIBUTES: Final = frozenset(field.name for field in COLUMNS)

REQUIRED: Final = ("id", "source", "specversion", "type")
STANDARD: Final = frozenset({*REQUIRED, "subject", "dataschema", "datacontenttype", "time"})

_NAME: Final = re.compile(r"[a-z0-9]+")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef]")
_URI: Final = re.compile(r"(?:[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+")
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_MEDIA: Final = re.compile(r"([\w!#$&^.+-]+)/([\w!#$&^.+-]+)[ \t]*(;.*)?", re.ASCII)
_TIME: Final = re.compile(r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(?:\.(\d+))?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FEW: Final = frozenset({"source", "specversion", "type", "dataschema", "datacontenttype"})  # with few values: looked at once
_SHORT: Final = 200  # characters; longer ones are not kept
_INT: Final = 1 << 31
_PLAIN: Final = {str}

_AVRO: Final = frozenset({"avro", "x-avro", "vnd.apache.avro", "vnd.apache.avro+binary"})


class Attributes(NamedTuple):
    """Checked attributes, as text by name."""

    texts: Mapping[str, str]
    time_us: int | None  # since 1970; what is finer is cut off

    @property
    def media(self) -> str:
        """What `datacontenttype` says of data: `json`, `avro` or neither; nothing said is JSON."""
        return media(self.texts.get("datacontenttype", ""))


def checked(given: Mapping[str, Any]) -> Attributes | Misfit:
    """The attributes as text, or what is wrong with them."""
    texts: Mapping[str, Any] = given if set(map(type, given.values())) == _PLAIN else _converted(given)
    for name in REQUIRED:
        if name not in texts:
            return Misfit(Reason.NOT_CLOUDEVENT, f"the CloudEvent has no {name}")
    for name, value in texts.items():
        if value is None:
            return Misfit(Reason.NOT_CLOUDEVENT, f"the CloudEvent's {_said(name)} is of a type that it can't be")
        fault = _seen(name, value) if name in _FEW and len(value) <= _SHORT else _fault(name, value)
        if fault:
            return Misfit(Reason.NOT_CLOUDEVENT, fault)
    return _timed(texts)


def _converted(given: Mapping[str, Any]) -> Mapping[str, str | None]:
    """Values as text; None where one can't be any. Standard attributes are text, whatever else may stand for it."""
    there = ((name, value) for name, value in given.items() if value is not None)
    return {name: value if type(value) is str else None if name in STANDARD else _text(value) for name, value in there}


def _timed(texts: Mapping[str, str]) -> Attributes | Misfit:
    if "time" not in texts:
        return Attributes(texts, None)
    time_us = _micros(texts["time"])
    if time_us is None:
        return Misfit(Reason.NOT_CLOUDEVENT, "the CloudEvent's time is no RFC 3339 timestamp")
    return Attributes(texts, time_us)


def columns(found: Sequence[Attributes], fields: Sequence[pa.Field]) -> list[pa.Array]:
    """Attributes of n events as those of the columns that are asked for."""
    return [_column(found, field) for field in fields]


@lru_cache(maxsize=256)
def _media(text: str) -> str:
    found = _MEDIA.fullmatch(text)
    if found is None:
        return ""
    kind, subtype = found[1].lower(), found[2].lower()
    if subtype == "json" or subtype.endswith("+json"):
        return "json"
    return "avro" if subtype in _AVRO or subtype.endswith("+avro") or (kind, subtype) == ("avro", "binary") else ""


def media(text: str) -> str:
    """Whether a media type is `json` or `avro`; empty if neither, and JSON if nothing is said."""
    return (_media(text) if len(text) <= _SHORT else "") if text else "json"


def _said(name: str) -> str:
    return name if name in STANDARD else repr(name[:40])


def _text(value: Any) -> str | None:
    """A value that is no text as CloudEvents write it; None if it can't be one."""
    if type(value) is bool:
        return "true" if value else "false"
    if type(value) is int and -_INT <= value < _INT:
        return str(value)
    return base64.b64encode(value).decode() if type(value) is bytes else None


def _fault(name: str, value: str) -> str:
    """What is wrong with an attribute; empty if nothing is."""
    if name not in STANDARD and not _NAME.fullmatch(name):
        return f"the name of an attribute has other than lower-case letters and digits: {_said(name)}"
    if _CONTROL.search(value):
        return f"the CloudEvent's {_said(name)} holds control characters"
    if not value and name in STANDARD:
        return f"the CloudEvent's {name} is empty"
    match name:
        case "specversion":
            return "" if value == SPECVERSION else f"the value is no CloudEvent of version {SPECVERSION}"
        case "source":
            return "" if _URI.fullmatch(value) else "the CloudEvent's source is no URI-reference"
        case "dataschema":
            return "" if _URI.fullmatch(value) and _SCHEME.match(value) else "the CloudEvent's dataschema is no URI"
        case "datacontenttype":
            return "" if _MEDIA.fullmatch(value) else "the CloudEvent's datacontenttype is no media type"
    return ""


_seen = lru_cache(maxsize=1024)(_fault)


def _micros(text: str) -> int | None:
    """Microseconds since 1970; None if it is no RFC 3339 timestamp."""
    found = _TIME.fullmatch(text)
    if found is None:
        return None
    day, clock, fraction, zone = found.groups()
    try:
        moment = datetime.fromisoformat(f"{day}T{clock}{'Z' if zone in 'Zz' else zone}")
        return (moment - _EPOCH) // timedelta(microseconds=1) + int((fraction or "")[:6].ljust(6, "0"))
    except (ValueError, OverflowError):
        return None


def _column(found: Sequence[Attributes], field: pa.Field) -> pa.Array:
    """One attribute of all events."""
    if field.name == CE_EXTENSIONS:
        return pa.array([[pair for pair in one.texts.items() if pair[0] not in STANDARD] for one in found], field.type)
    if pa.types.is_timestamp(field.type):
        return pa.array([one.time_us for one in found], pa.int64()).cast(field.type)
    name = field.name.removeprefix("ce_")
    return pa.array([one.texts.get(name) for one in found], field.type)
