"""Avro values that name their schema: single-object encoding and the Confluent wire format, from any writer's schema into one reader's
columns."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final

import pyarrow as pa

from schemas.codecs.decoder import Bad, Decoded, joined
from schemas.codecs.frame import CONFLUENT, SINGLE_OBJECT, Frame
from schemas.codecs.registry import Found, Registry
from schemas.codecs.resolution import WholeDecoder, every, resolving
from schemas.contracts import Contract, Contracts
from schemas.vocabulary import Reason

_KNOWN: Final = 1_000  # schemas that are kept ready
_ID_BYTES: Final = {SINGLE_OBJECT: 8, CONFLUENT: 4}


class _Unknown(str):
    """Says that no schema has the id, as far as is known now."""

    __slots__ = ()


class FramedDecoder:
    """Reads framed values; a batch is grouped by the schema that its values name."""

    def __init__(self, reader: Contract, marker: bytes, find: Callable[[Collection[bytes]], Mapping[bytes, Found]]) -> None:
        """`find` knows the schemas of ids (fingerprints or registry ids, as in the values).

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
        first = self._decoders([values[0][: self._size]])[0] if values else "there is no value"
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
        for (prefix, rows), decoder in zip(groups.items(), self._decoders(groups), strict=True):
            if isinstance(decoder, str):
                reason = Reason.TRUNCATED if len(prefix) < self._size and self._marker.startswith(prefix[:2]) else Reason.UNKNOWN_SCHEMA
                bad.extend(Bad(row, reason, decoder, isinstance(decoder, _Unknown)) for row in rows)
                continue
            decoded = decoder.decode([values[row] for row in rows])
            pieces.append(decoded.columns)
            good.extend(rows[at] for at in decoded.good.tolist())
            bad.extend(one._replace(row=rows[one.row]) for one in decoded.bad)
        return joined(self.arrow_schema, pieces, good, bad)

    def _decoders(self, prefixes: Collection[bytes]) -> list[WholeDecoder | str]:
        """The decoder of values that begin so, or why there is none, for each."""
        known = {prefix: self._known[prefix] for prefix in prefixes if prefix in self._known}
        new = {prefix: self._misframed(prefix) for prefix in prefixes if prefix not in known}
        named = [prefix[len(self._marker) :] for prefix, wrong in new.items() if not wrong]
        found = self._find(named) if named else {}
        return [
            known[prefix] if prefix in known else new[prefix] or self._resolved(prefix, found[prefix[len(self._marker) :]])
            for prefix in prefixes
        ]

    def _misframed(self, prefix: bytes) -> str:
        """Why values that begin so name no schema; empty if they do."""
        if not prefix.startswith(self._marker):
            start = f"starts with {prefix[:2].hex()}" if prefix else "is empty"
            return f"the value {start}, not with {self._marker.hex()}, the mark of its encoding"
        if len(prefix) < self._size:
            return f"the value ends within the {self._size} bytes that name its schema (byte {len(prefix)} of {len(prefix)})"
        return ""

    def _resolved(self, prefix: bytes, writer: Found) -> WholeDecoder | str:
        """The decoder of a writer's schema. Why there is none is kept only if it is for good; else whoever finds schemas knows how long it
        holds."""
        named = prefix[len(self._marker) :].hex()
        if writer is None:
            return _Unknown(f"the value names schema {named}, which is not known here")
        if isinstance(writer, str):
            return f"the value names schema {named}, which can't be read as {self._reader.name}: {writer}"
        found: WholeDecoder | str
        try:
            found = resolving(writer, self._reader, Frame(prefix))
        except (ValueError, OverflowError, RecursionError) as error:
            found = f"the value is of {writer.name} ({named}), which can't be read as {self._reader.name}: {error}"
        if len(self._known) >= _KNOWN:
            self._known.clear()
        self._known[prefix] = found
        return found


def single_object(reader: Contract, contracts: Contracts) -> FramedDecoder:
    """Of values in single-object encoding, written with any version among the contracts."""

    def find(fingerprints: Collection[bytes]) -> Mapping[bytes, Found]:
        return {one: reader if one == reader.fingerprint else contracts.by_fingerprint(one) for one in fingerprints}

    return FramedDecoder(reader, SINGLE_OBJECT, find)


def confluent(reader: Contract, registry: Registry) -> FramedDecoder:
    """Of values in the Confluent wire format."""

    def find(named: Collection[bytes]) -> Mapping[bytes, Found]:
        found = registry.schemas([int.from_bytes(one, "big") for one in named])
        return {one: found[int.from_bytes(one, "big")] for one in named}

    return FramedDecoder(reader, CONFLUENT, find)
