"""One CloudEvent as Kafka's binding carries it (CloudEvents 1.0.2, "Kafka Protocol Binding"): which mode, and in binary mode its parts.

A `content-type` that begins with `application/cloudevents` says structured mode, and the format. Any other, or none, is binary mode: the
attributes are headers `ce_<name>`, `content-type` is `datacontenttype`, the value is the data.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from schemas.codecs import cloudevents_avro, cloudevents_json
from schemas.codecs.cloudevents_attributes import checked
from schemas.codecs.cloudevents_json import Opened
from schemas.codecs.json_values import Misfit
from schemas.headers import CONTENT_TYPE
from schemas.vocabulary import Reason

Pairs = Sequence[tuple[str, bytes | None]]

PREFIX: Final = "ce_"
_STRUCTURED: Final = "application/cloudevents"
_FORMATS: Final[Mapping[str, Callable[[bytes], Opened | Misfit]]] = {
    cloudevents_json.MEDIA: cloudevents_json.opened,
    cloudevents_avro.MEDIA: cloudevents_avro.opened,
}


def opened(value: bytes, headers: Pairs) -> Opened | Misfit:
    """The event in a record, or what is wrong with it."""
    kind, given, twice = None, {}, ""
    try:
        for name, said in headers:
            if name.startswith(PREFIX):
                twice = name if name[3:] in given else twice
                given[name[3:]] = None if said is None else said.decode()
            elif kind is None and said is not None and name.lower() == CONTENT_TYPE:
                kind = said.decode()
    except UnicodeDecodeError:
        return Misfit(Reason.INVALID_UTF8, "a header of the CloudEvent is not UTF-8")
    if kind is not None and kind.lower().startswith(_STRUCTURED):
        return _structured(kind, value)
    if twice:
        return Misfit(Reason.NOT_CLOUDEVENT, f"the header {twice[:40]!r} is there twice, and only one can be meant")
    if kind is not None:
        given["datacontenttype"] = kind
    attributes = checked(given)
    return attributes if isinstance(attributes, Misfit) else (attributes, value)


def _structured(kind: str, value: bytes) -> Opened | Misfit:
    read = _FORMATS.get(kind.partition(";")[0].strip().lower())
    return Misfit(Reason.NOT_CLOUDEVENT, f"no event format is called {kind[:80]!r} here") if read is None else read(value)
