"""Names of the headers that Weft reads and writes: CloudEvents in Kafka's binary mode, its own `ce_weft*`, and trace context."""

from collections.abc import Iterable
from typing import Final

CONTENT_TYPE: Final = "content-type"
TRACEPARENT: Final = "traceparent"  # W3C trace context, as OpenTelemetry writes it
CE_TRACEPARENT: Final = "ce_traceparent"  # as the CloudEvents binding writes it: read, never written

# CloudEvents: required, then optional attributes and extensions
CE_SPECVERSION: Final = "ce_specversion"
CE_TYPE: Final = "ce_type"
CE_SOURCE: Final = "ce_source"
CE_ID: Final = "ce_id"
CE_TIME: Final = "ce_time"  # event time; the record's timestamp is the time of writing
CE_SUBJECT: Final = "ce_subject"
CE_CAUSATION: Final = "ce_causationid"  # the event id
CE_CORRELATION: Final = "ce_correlationid"

# on every outcome
CE_FLOW: Final = "ce_weftflow"  # departure-delays@1.0.0
CE_POSITION: Final = "ce_weftposition"  # the root position: flights.departures/2/1234
CE_VERDICT: Final = "ce_weftverdict"
CE_KEY: Final = "ce_weftkey"  # the idempotency key of sinks

# on dead letters, beside CE_FLOW and CE_POSITION
CE_REASON: Final = "ce_weftreason"  # a code of vocabulary.Reason
CE_STEP: Final = "ce_weftstep"
CE_DETAIL: Final = "ce_weftdetail"  # a sentence
CE_PASS: Final = "ce_weftpass"  # noqa: S105 (a trip, no word)
CE_REDRIVE: Final = "ce_weftredrive"  # the generation that ended here
CE_RULE: Final = "ce_weftrule"

# on a dead letter whose value was cut (reason too-large)
CE_SIZE: Final = "ce_weftsize"  # bytes of the original value
CE_SHA256: Final = "ce_weftsha256"  # of the original value, hex

# on a dead letter whose key was cut, or whose headers are not all there
CE_KEY_SIZE: Final = "ce_weftkeysize"  # bytes of the original key
CE_KEY_SHA256: Final = "ce_weftkeysha256"  # of the original key, hex
CE_HEADERS: Final = "ce_weftheaders"  # why: `unreadable`, `cut` or `oversized-batch`
CE_HEADERS_SIZE: Final = "ce_weftheaderssize"  # bytes of the names and values of those that were cut

UNREADABLE: Final = (CE_HEADERS, b"unreadable")  # stands for headers that can't be read: a name is not UTF-8
OVERSIZED: Final = (CE_HEADERS, b"oversized-batch")  # stands for a record that was never read: its batch takes too much memory
CUT: Final = (CE_HEADERS, b"cut")  # they were too large for a letter; the first of them are there

SPECVERSION: Final = "1.0"
WEFT_PREFIX: Final = "ce_weft"  # a redriven letter loses these, and gets its own

AVRO: Final = "application/avro"
JSON: Final = "application/json"
CLOUDEVENTS_JSON: Final = "application/cloudevents+json"


def headers_size(headers: Iterable[tuple[str, bytes | None]]) -> int:
    """Bytes of all names and values."""
    return sum(len(name.encode()) + len(value or b"") for name, value in headers)
