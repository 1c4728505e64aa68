"""The encodings that a flow may name, each with its decoder and its encoder."""

from typing import Literal

from schemas.codecs.avro_columns import AvroEncoder
from schemas.codecs.cloudevents import CloudEventsDecoder, CloudEventsEncoder
from schemas.codecs.decoder import Decoder, Encoder
from schemas.codecs.frame import Frame
from schemas.codecs.framed import confluent, single_object
from schemas.codecs.json_columns import JsonDecoder
from schemas.codecs.json_write import JsonEncoder
from schemas.codecs.registry import Registry
from schemas.contracts import Contract, Contracts

Encoding = Literal["avro-single-object", "avro-confluent", "json", "cloudevents-json"]


def decoder(contract: Contract, encoding: Encoding, contracts: Contracts, registry: Registry | None = None) -> Decoder:
    """Reads values of an encoding into the contract's columns.

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
        case "cloudevents-json":
            return CloudEventsDecoder(contract.schema)


def encoder(contract: Contract, encoding: Encoding, registry: Registry | None = None) -> Encoder:
    """Writes the contract's columns as values of an encoding.

    Raises:
        ValueError: a field has no column type, or the registry has no id for the contract.
    """
    match encoding:
        case "avro-single-object":
            return AvroEncoder(contract.schema, Frame.single_object(contract.fingerprint))
        case "avro-confluent":
            schema_id = None if registry is None else registry.schema_id(contract)
            if schema_id is None:
                raise ValueError(f"the schema registry has no id for {contract.name}")
            return AvroEncoder(contract.schema, Frame.confluent(schema_id))
        case "json":
            return JsonEncoder(contract.schema)
        case "cloudevents-json":
            return CloudEventsEncoder(contract.schema, contract.name)
