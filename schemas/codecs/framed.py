"""Avro values that name their schema: single-object encoding and the Confluent wire format, from any writer's schema into one reader's
columns."""

from collections.abc import Callable, Sequence
from typing import Final

import pyarrow as pa

from schemas.codecs.decoder import Bad, Decoded, joined
from schemas.codecs.frame import CONFLUENT, SINGLE_OBJECT, Frame
from schemas.codecs.registry import Registry
from schemas.codecs.resolution import WholeDecoder, every, resolving
from schemas.contracts import Contract, Contracts
from schemas.vocabulary import Reason

_KNOWN: Final = 1_000  # schemas that are kept ready
_ID_BYTES: Final = {SINGLE_OBJECT: 8, CONFLUENT: 4}


class FramedDecoder:
    """Reads framed values; a batch is grouped by the schema that its values name."""

    def __init__(self, reader: Contract, marker: bytes, find: Callable[[bytes], Contract | None]) -> None:
        """`find` knows the schema of an id (fingerprint or registry id, as in the value).

        Raises:
            ValueError: a field of the reader's schema has no column type.
        """
        self._reader = reader
        self._marker = marker
        self._find = find
        self._size = len(marker) + _ID_BYTES[marker]
        self._known: dict[bytes, WholeDecoder | str] = {}
        self.arrow_schema: Final = resolving(reader, reader, Frame()).arrow_schema

    def decode(self, values: Sequence[bytes]) -> Decoded:
        """Decode n values."""
        first = self._decoder(values[0][: self._size]) if values else "there is no value"
        if not isinstance(first, str):
            whole = first.whole(values)
            if whole is not None:
                return Decoded(whole, every(len(values)))
        return self._by_schema(values)

    def _by_schema(self, values: Sequence[bytes]) -> Decoded:
        """Each schema's values by its decoder."""
        groups: dict[bytes, list[int]] = {}
        for row, value in enumerate(values):
            groups.setdefault(value[: self._size], []).append(row)
        pieces: list[pa.RecordBatch] = []
        good: list[int] = []
        bad: list[Bad] = []
        for prefix, rows in groups.items():
            decoder = self._decoder(prefix)
            if isinstance(decoder, str):
                reason = Reason.TRUNCATED if len(prefix) < self._size and self._marker.startswith(prefix[:2]) else Reason.UNKNOWN_SCHEMA
                bad.extend(Bad(row, reason, decoder) for row in rows)
                continue
            decoded = decoder.decode([values[row] for row in rows])
            pieces.append(decoded.columns)
            good.extend(rows[at] for at in decoded.good.tolist())
            bad.extend(Bad(rows[at], reason, sentence) for at, reason, sentence in decoded.bad)
        return joined(self.arrow_schema, pieces, good, bad)

    def _decoder(self, prefix: bytes) -> WholeDecoder | str:
        """The decoder of values that begin so, or why there is none."""
        if prefix in self._known:
            return self._known[prefix]
        if not prefix.startswith(self._marker):
            start = f"starts with {prefix[:2].hex()}" if prefix else "is empty"
            return f"the value {start}, not with {self._marker.hex()}, the mark of its encoding"
        if len(prefix) < self._size:
            return f"the value ends within the {self._size} bytes that name its schema (byte {len(prefix)} of {len(prefix)})"
        named = prefix[len(self._marker) :]
        found: WholeDecoder | str = f"the value names schema {named.hex()}, which can't be read as {self._reader.name}"
        try:
            writer = self._find(named)
        except ValueError as error:  # it may be mended where schemas are kept: whoever finds them knows for how long it holds
            return f"{found}: {error}"
        try:
            if writer is None:
                return f"the value names schema {named.hex()}, which is not known here"
            found = f"the value is of {writer.name} ({named.hex()}), which can't be read as {self._reader.name}"
            found = resolving(writer, self._reader, Frame(prefix))
        except (ValueError, OverflowError, RecursionError) as error:
            found = f"{found}: {error}"
        if len(self._known) >= _KNOWN:
            self._known.clear()
        self._known[prefix] = found
        return found


def single_object(reader: Contract, contracts: Contracts) -> FramedDecoder:
    """Of values in single-object encoding, written with any version among the contracts."""

    def find(fingerprint: bytes) -> Contract | None:
        return reader if fingerprint == reader.fingerprint else contracts.by_fingerprint(fingerprint)

    return FramedDecoder(reader, SINGLE_OBJECT, find)


def confluent(reader: Contract, registry: Registry) -> FramedDecoder:
    """Of values in the Confluent wire format."""
    return FramedDecoder(reader, CONFLUENT, lambda named: registry.schema(int.from_bytes(named, "big")))
