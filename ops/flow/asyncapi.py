"""The AsyncAPI 3.0 document of a flow: its topics as channels, what stands on them, and which of them the flow reads or writes."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import yaml

from ops.flow.wanted import Basis, wanted
from processors.flow.check import Checked
from processors.flow.topics import topics_of
from schemas import headers as names
from schemas.codecs.encodings import Encoding
from schemas.contracts import Contracts
from schemas.vocabulary import Reason, Verdict

ASYNCAPI: Final = "3.0.0"
AVRO_SCHEMA: Final = "application/vnd.apache.avro+json;version=1.9.0"
KAFKA_BINDING: Final = "0.5.0"

_MEDIA: Final[Mapping[Encoding, str]] = {
    "avro-single-object": names.AVRO,
    "avro-confluent": names.AVRO,
    "json": names.JSON,
    "cloudevents-json": names.CLOUDEVENTS_JSON,
    "cloudevents-avro": "application/cloudevents+avro",
}
_WRITTEN: Final[Mapping[Encoding, str]] = {
    "avro-single-object": "Avro's single-object encoding: C3 01, the CRC-64-AVRO fingerprint of the writer's schema, the datum.",
    "avro-confluent": "Confluent's wire format: a zero byte, the schema's id in the registry, the datum.",
    "json": "JSON with the fields of this Avro schema; times as ISO 8601.",
    "cloudevents-json": "A CloudEvent in structured mode, JSON; its data have the fields of this Avro schema.",
    "cloudevents-avro": "A CloudEvent in structured mode, Avro; its data are of this Avro schema.",
    "cloudevents": "A CloudEvent in binary or structured mode, as its content-type says; its data are of this Avro schema.",
}
_EVENT_HEADERS: Final[Mapping[str, str]] = {
    names.CE_SPECVERSION: "CloudEvents, 1.0",
    names.CE_TYPE: "CloudEvents: what kind of event",
    names.CE_SOURCE: "CloudEvents: who says it",
    names.CE_ID: "CloudEvents: the event's id",
    names.CE_TIME: "CloudEvents: when it happened, RFC 3339",
    names.CE_SUBJECT: "CloudEvents: about whom",
    names.CE_CORRELATION: "CloudEvents correlation extension",
    names.TRACEPARENT: "W3C trace context",
    names.CONTENT_TYPE: "media type of the value",
}
_OUTCOME_HEADERS: Final[Mapping[str, str]] = {
    names.CE_SPECVERSION: "CloudEvents, 1.0",
    names.CE_TYPE: "CloudEvents: what kind of record",
    names.CE_SOURCE: "CloudEvents: the flow",
    names.CE_ID: "CloudEvents: of this outcome",
    names.CE_CAUSATION: "the event's id",
    names.CE_FLOW: "name@version of the flow that decided",
    names.CE_POSITION: "where the event stands: topic/partition/offset",
    names.CE_VERDICT: "why the event left the flow here",
    names.CE_KEY: "idempotency key: a sink acts once on each",
}
_OUTCOME_MAY: Final[Mapping[str, str]] = {
    names.CE_TIME: "when the event happened, RFC 3339",
    names.CE_SUBJECT: "as the event had it, where the flow reads headers",
    names.CE_CORRELATION: "likewise",
    names.TRACEPARENT: "W3C trace context",
    names.CE_REASON: "why it was set aside, as a code",
    names.CE_RULE: "the rule that decided",
    names.CONTENT_TYPE: "media type of a result's value",
}
_LETTER_HEADERS: Final[Mapping[str, str]] = {
    names.CE_FLOW: "name@version of the flow that gave it up",
    names.CE_POSITION: "where the event stands: topic/partition/offset",
    names.CE_VERDICT: "dead-letter; unreadable where it never was an event",
    names.CE_REASON: "why, as a code",
    names.CE_RULE: "the rule that decided, if one did",
    names.CE_STEP: "the step that it left at",
    names.CE_DETAIL: "why, as a sentence",
    names.CE_PASS: "which trip through the steps",
    names.CE_REDRIVE: "the generation that ended here; a redrive begins the next",
}
_LETTER_MAY: Final[Mapping[str, str]] = {
    names.CE_SIZE: "bytes of the value, where it was cut",
    names.CE_SHA256: "of the value, where it was cut",
}

# of each kind of topic: what stands on it, whether the flow receives or sends it, and for whom it is
_USES: Final[Mapping[str, tuple[Sequence[str], Sequence[str], str]]] = {
    "input": (("event",), ("receive",), "public"),
    "result": (("result",), ("send",), "public"),
    "dead_letters": (("deadLetter",), ("send",), "public"),
    "quarantine": (("quarantined",), ("send",), "public"),
    "reviews": (("waiting",), ("send", "receive"), "internal"),
    "resume": (("decision", "waiting"), ("receive",), "internal"),
    "retries": (("waiting",), ("send", "receive"), "internal"),
    "generations": (("generation",), ("send", "receive"), "internal"),
    "ledger": (("block",), ("send",), "auditors"),
    "checkpoints": (("checkpoint",), ("send",), "auditors"),
}


def asyncapi(checked: Checked, contracts: Contracts, partitions: int) -> dict[str, Any]:
    """The document, as plain values. Topics are described as `weft flow apply` makes them where the input is new.

    Raises:
        FlowError: the flow has mistakes.
    """
    spec = checked.sound()
    topics = topics_of(spec)
    made = {topic.name: topic for topic in wanted(spec, Basis.of(None, partitions, spec.limits.value_bytes))}
    channels, operations = {}, {}
    for use, (messages, actions, audience) in _USES.items():
        found = getattr(topics, use)
        for name in found if isinstance(found, tuple) else (found,):
            key = _camel(use) if name == found else _camel(f"retry-{name.rpartition('.')[2]}")
            topic = made[name]
            channels[key] = _channel(name, messages, audience, topic.partitions, topic.configs)
            for action in actions:
                operations[f"{action}{key[0].upper()}{key[1:]}"] = _operation(action, key, messages)
    return {
        "asyncapi": ASYNCAPI,
        "info": {
            "title": spec.flow,
            "version": spec.version,
            "description": f"What the flow {spec.flow} reads and writes. Read with isolation level read_committed; act once on each "
            f"{names.CE_KEY}.",
        },
        "channels": channels,
        "operations": operations,
        "components": {"messages": _messages(checked, contracts)},
    }


def text(document: Mapping[str, Any]) -> str:
    """The document as YAML."""
    found: str = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=140)
    return found


def _channel(address: str, messages: Sequence[str], audience: str, partitions: int, configs: Mapping[str, str]) -> dict[str, Any]:
    configuration: dict[str, Any] = {"cleanup.policy": [configs.get("cleanup.policy", "delete")]}
    configuration |= {name: int(configs[name]) for name in ("retention.ms", "retention.bytes", "max.message.bytes") if name in configs}
    binding = {"topic": address, "partitions": partitions, "topicConfiguration": configuration, "bindingVersion": KAFKA_BINDING}
    return {
        "address": address,
        "messages": {message: {"$ref": f"#/components/messages/{message}"} for message in messages},
        "tags": [{"name": audience}],
        "bindings": {"kafka": binding},
    }


def _operation(action: str, channel: str, messages: Sequence[str]) -> dict[str, Any]:
    at = f"#/channels/{channel}"
    return {"action": action, "channel": {"$ref": at}, "messages": [{"$ref": f"{at}/messages/{one}"} for one in messages]}


def _messages(checked: Checked, contracts: Contracts) -> dict[str, Any]:
    spec = checked.sound()
    avro, own = contracts[spec.input.contract].schema, "The key of the event."
    event = _value(spec.input.encoding, avro) | {"name": spec.input.contract, "title": "Event", "headers": _headers({}, _EVENT_HEADERS)}
    result = _value(spec.result.encoding, contracts[spec.result.contract].schema)
    outcome = _headers(_OUTCOME_HEADERS, _OUTCOME_MAY)
    # the original, which may be any bytes: it has no schema
    letter = {"summary": "The event as it came, and why it could not be processed.", "headers": _headers(_LETTER_HEADERS, _LETTER_MAY)}
    aside = {"summary": "The event as it came. It could be processed and may not be.", "headers": outcome}
    found = {
        "event": event | _keyed("Decides the partition; order is kept within it."),
        "result": result | {"name": spec.result.contract, "title": "Result", "headers": outcome} | _keyed(own),
        "deadLetter": {"name": "weft.dead-letter", "title": "Dead letter"} | letter | _keyed(own),
        "quarantined": {"name": "weft.quarantine", "title": "Quarantined event"} | aside | _keyed(own),
        "waiting": _internal(contracts, "weft.Pending", "An event that waits, with its whole context.", "The ce_id of what waits."),
        "decision": _internal(contracts, "weft.Decision", "A person's decision, a deadline or a redrive.", "The ce_id of the review."),
        "generation": {"name": "weft.generation", "title": "Highest generation of a redriven event"} | _keyed("The event's position."),
        "block": _internal(contracts, "weft.LedgerBlock", "Leaves of a ledger's tree.", "The tree."),
        "checkpoint": {"name": "weft.checkpoint", "title": "Signed head of a tree (C2SP)", "contentType": "text/plain"}
        | _keyed("The tree."),
    }
    found["result"]["correlationId"] = {"location": f"$message.header#/{names.CE_CAUSATION}", "description": "The event's id."}
    return found


def _value(encoding: Encoding, schema: Any) -> dict[str, Any]:
    media = {"contentType": _MEDIA[encoding]} if encoding in _MEDIA else {}
    return {"summary": _WRITTEN[encoding], **media, "payload": _payload(schema)}


def _internal(contracts: Contracts, contract: str, summary: str, key: str) -> dict[str, Any]:
    told = {"name": contract, "summary": summary, "contentType": names.AVRO}
    return told | {"payload": _payload(contracts[contract].schema)} | _keyed(key)


def _payload(schema: Any) -> dict[str, Any]:
    return {"schemaFormat": AVRO_SCHEMA, "schema": _spelt(schema)}


def _spelt(schema: Any) -> Any:
    """The Avro schema with namespace and name apart, as AsyncAPI's own schema wants them; what it means stays."""
    if isinstance(schema, list):
        return [_spelt(part) for part in schema]
    if not isinstance(schema, Mapping):
        return schema
    inner = {key: _spelt(part) if key in ("fields", "items", "values", "type") else part for key, part in schema.items()}
    namespace, _, name = str(schema.get("name", "")).rpartition(".")
    return inner | ({"namespace": namespace, "name": name} if namespace else {})


def _keyed(description: str) -> dict[str, Any]:
    return {"bindings": {"kafka": {"key": {"type": "string", "description": description}, "bindingVersion": KAFKA_BINDING}}}


def _headers(must: Mapping[str, str], may: Mapping[str, str]) -> dict[str, Any]:
    """As JSON Schema."""
    properties: dict[str, Any] = {name: {"type": "string", "description": sentence} for name, sentence in {**must, **may}.items()}
    closed = {names.CE_REASON: [code.value for code in Reason if code], names.CE_VERDICT: [verdict.value for verdict in Verdict]}
    for name in properties.keys() & closed.keys():
        properties[name]["enum"] = closed[name]
    return {"type": "object", "properties": properties} | ({"required": list(must)} if must else {})


def _camel(name: str) -> str:
    first, *others = name.replace("_", "-").split("-")
    return first + "".join(other.capitalize() for other in others)
