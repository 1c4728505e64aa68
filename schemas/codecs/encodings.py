"""The encodings that a flow may name, each with its decoder, its encoder, and the envelope that goes around."""

from typing import Literal

from schemas.codecs import cloudevents_avro, cloudevents_json
from schemas.codecs.avro_columns import AvroEncoder
from schemas.codecs.cloudevents import AVRO_ENVELOPE, JSON_ENVELOPE, Envelope, RecordDecoder, StructuredDecoder
from schemas.codecs.decoder import Decoder, Encoder
from schemas.codecs.frame import Frame
from schemas.codecs.framed import confluent, single_object
from schemas.codecs.json_columns import JsonDecoder
from schemas.codecs.json_write import JsonEncoder
from schemas.codecs.registry import Registry
from schemas.contracts import Contract, Contracts

Written = Literal["avro-single-object", "avro-confluent", "json", "cloudevents-json", "cloudevents-avro"]
"""How a value may be written."""

Encoding = Literal["avro-single-object", "avro-confluent", "json", "cloudevents-json", "cloudevents-avro", "cloudevents"]
"""How a value may be read: as it may be written, or in whichever mode of CloudEvents its headers say."""

Framing = Literal["avro-single-object", "avro-confluent"]
"""How Avro data says its schema."""


def needs_headers(encoding: Encoding) -> bool:
    """Whether values can't be read without their headers."""
    return encoding == "cloudevents"


def needs_registry(encoding: Encoding, data: Framing = "avro-single-object") -> bool:
    """Whether values name their schema by a registry's id."""
    return "avro-confluent" in (encoding, data)


def decoder(
    contract: Contract, encoding: Encoding, contracts: Contracts, registry: Registry | None = None, data: Framing = "avro-single-object"
) -> Decoder:
    """Reads values of an encoding into the contract's columns. `data` is how Avro data of CloudEvents says its schema.

    Raises:
        ValueError: a field has no column type, or the encoding needs a registry.
    """
    match encoding:
        case "avro-single-object":
            return single_object(contract, contracts)
        case "avro-confluent":
            if registry is None:
                raise ValueError("avro-confluent needs a schema registry")
            return confluent(contract, registry)
        case "json":
            return JsonDecoder(contract.schema)
    inner = decoder(contract, data, contracts, registry)
    match encoding:
        case "cloudevents-json":
            return StructuredDecoder(contract.schema, inner, cloudevents_json.opened)
        case "cloudevents-avro":
            return StructuredDecoder(contract.schema, inner, cloudevents_avro.opened)
        case "cloudevents":
            return RecordDecoder(contract.schema, inner)


def encoder(contract: Contract, encoding: Encoding, registry: Registry | None = None, subject: str = "") -> Encoder:
    """Writes the contract's columns as values of an encoding, without the envelope. `subject` is where a registry keeps their schema.

    Raises:
        ValueError: a field has no column type, or the registry has no id for the contract.
    """
    match encoding:
        case "avro-single-object" | "cloudevents-avro":
            return AvroEncoder(contract.schema, Frame.single_object(contract.fingerprint))
        case "avro-confluent":
            schema_id = None if registry is None else registry.schema_id(contract, subject)
            if schema_id is None:
                raise ValueError(f"the schema registry has no id for {contract.name}")
            return AvroEncoder(contract.schema, Frame.confluent(schema_id))
        case "json" | "cloudevents-json" | "cloudevents":
            return JsonEncoder(contract.schema)


def envelope(encoding: Encoding) -> Envelope | None:
    """What goes around a written value; None where nothing does: with their headers such records are CloudEvents in binary mode."""
    return {"cloudevents-json": JSON_ENVELOPE, "cloudevents-avro": AVRO_ENVELOPE}.get(encoding)
