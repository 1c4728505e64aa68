"""Avro single-object encoding of one datum at a time, by fastavro: for records of low rate.

The bytes are C3 01, the CRC-64-AVRO fingerprint of the schema in little-endian, and the datum (Avro 1.11, "Single-object encoding").
"""

import io
from collections.abc import Mapping
from typing import Any, Final

from fastavro import schemaless_reader, schemaless_writer
from fastavro.validation import ValidationError, validate

from schemas.contracts import Contract

MARKER: Final = b"\xc3\x01"
HEADER_BYTES: Final = 10  # marker and fingerprint


class SingleObject:
    """Reads and writes datums of one contract."""

    def __init__(self, contract: Contract) -> None:
        self.header: Final = MARKER + contract.fingerprint
        self._schema = contract.parsed
        self._name = contract.name

    def encode(self, datum: Mapping[str, Any]) -> bytes:
        """One datum's bytes.

        Raises:
            ValueError: it does not fit the schema.
        """
        out = io.BytesIO(self.header)
        out.seek(HEADER_BYTES)
        try:
            validate(datum, self._schema, strict=True)  # the writer alone would wrap an int that is too large
            schemaless_writer(out, self._schema, datum)
        except (ValidationError, TypeError, KeyError, OverflowError, AttributeError) as error:
            raise ValueError(f"this is no {self._name}: {error}") from error
        return out.getvalue()

    def decode(self, value: bytes) -> dict[str, Any]:
        """The datum of a value that must hold nothing else.

        Raises:
            ValueError: the value is none of this contract, is cut, or goes on behind the datum.
        """
        if not value.startswith(self.header):
            start = value[:HEADER_BYTES].hex() or "nothing"
            raise ValueError(f"the value is no {self._name}: it starts with {start}, not {self.header.hex()}")
        source = io.BytesIO(value)
        source.seek(HEADER_BYTES)
        try:
            datum = schemaless_reader(source, self._schema, None)
        except (EOFError, IndexError, TypeError, OverflowError, MemoryError, ValueError) as error:
            raise ValueError(f"the value is a broken {self._name}: {error or type(error).__name__}") from error
        if source.tell() != len(value) or not isinstance(datum, dict):
            raise ValueError(f"the value goes on behind its {self._name}, at byte {source.tell()}")
        return datum
