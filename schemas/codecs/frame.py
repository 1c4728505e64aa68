"""The bytes before a datum that say which schema it has, read and written as if they were the datum's first two fields.

So framed values go through the columnar codec as they are, without being cut or put together one by one: C3 01 is an Avro int, the
fingerprint behind it a double (Confluent: 00 is an int, the id a float). Their bits are compared, not their numbers.
"""

from typing import Any, Final, Self

import numpy as np
import pyarrow as pa

SINGLE_OBJECT: Final = b"\xc3\x01"  # Avro 1.11, "Single-object encoding": then the CRC-64-AVRO fingerprint, little-endian
CONFLUENT: Final = b"\x00"  # Confluent wire format: then the schema's id, big-endian


class Frame:
    """The constant first bytes of values; may be none."""

    def __init__(self, prefix: bytes = b"") -> None:
        self.prefix: Final = prefix
        self._bits = np.uint64 if prefix.startswith(SINGLE_OBJECT) else np.uint32
        marker = SINGLE_OBJECT if prefix.startswith(SINGLE_OBJECT) else CONFLUENT
        raw = (marker[0] & 0x7F) | (marker[1] << 7 if len(marker) > 1 else 0)
        self._marker = (raw >> 1) ^ -(raw & 1)
        self._id = np.frombuffer(prefix[len(marker) :], self._bits)

    @classmethod
    def single_object(cls, fingerprint: bytes) -> Self:
        """The frame of a schema's fingerprint (eight bytes, little-endian)."""
        return cls(SINGLE_OBJECT + fingerprint)

    @classmethod
    def confluent(cls, schema_id: int) -> Self:
        """The frame of a registry's id."""
        return cls(CONFLUENT + schema_id.to_bytes(4, "big"))

    @property
    def fields(self) -> list[dict[str, Any]]:
        """The frame as Avro fields."""
        if not self.prefix:
            return []
        return [{"name": "marker", "type": "int"}, {"name": "id", "type": "double" if self._bits is np.uint64 else "float"}]

    def matches(self, columns: pa.RecordBatch) -> bool:
        """Whether the first two columns hold this frame in every row."""
        if not self.prefix:
            return True
        markers, ids = (columns.column(at).to_numpy(zero_copy_only=True) for at in (0, 1))
        return bool((markers == self._marker).all() and (ids.view(self._bits) == self._id[0]).all())

    def columns(self, rows: int) -> list[pa.Array]:
        """The frame as columns."""
        if not self.prefix:
            return []
        ids = np.full(rows, self._id[0], self._bits).view(np.float64 if self._bits is np.uint64 else np.float32)
        return [pa.array(np.full(rows, self._marker, np.int32)), pa.array(ids)]
