"""Finds decisions in a ledger: every pass of an event with its leaf and details, for `weft explain` and for receipts."""

import io
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Final

from fastavro import parse_schema, schemaless_reader
from fastavro.schema import SchemaParseException

from connectors.log import Reader
from ops.audit.subject import Subject
from schemas.codecs.single_object import HEADER_BYTES, MARKER
from schemas.errors import FailedError, UsageError
from schemas.positions import Position, Source
from streams.ledger.block import Block, unpack
from streams.ledger.leaf import Leaf, bounded_id, decode, encode_position

SHOWN: Final = 20
_VERIFY: Final = "weft audit verify says what else is wrong."
_BROKEN: Final = (ValueError, TypeError, KeyError, IndexError, EOFError, OverflowError, MemoryError, SchemaParseException)


@dataclass(frozen=True, slots=True)
class Pass:
    """One pass of an event as the ledger has it."""

    leaf: Leaf
    raw: bytes  # the leaf, encoded
    origin: str  # of the tree
    index: int  # of the leaf in the tree
    block: Position  # where its block stands in the ledger
    written_ms: int  # when the block was written, since 1970
    details: dict[str, Any] | None  # columns at the end of the pass; None where there are none, or they can't be read


async def find(reader: Reader, subject: Subject, wanted: str) -> list[Pass]:
    """All passes of the events with this id, or of the event with this root position, in the order of the ledger.

    Raises:
        FailedError: there is none.
    """
    root = _position(wanted, subject)
    needle = bounded_id(wanted).encode() if root is None else encode_position(root)
    partitions = range(await reader.partitions(subject.topics.ledger)) if root is None else (root.partition,)
    found = []
    for partition in partitions:
        async for place, written_ms, block in blocks(reader, Source(subject.topics.ledger, partition)):
            found += _in_block(block, (place, written_ms), wanted, root, needle)
    if not found:
        raise FailedError(
            f"No decision about {wanted} is in the ledger of {subject.flow}.",
            "Give the event id, or the position as topic/partition/offset; the event may not be taken in yet (weft lag).",
        )
    return found


def one_event(passes: list[Pass], wanted: str, position: Position | None = None) -> list[Pass]:
    """The passes of one event: that with this root position where several have the id (a producer's duplicate is a second event).

    Raises:
        UsageError: several have it and none was named, or the one that was named is not among them.
    """
    roots = list(dict.fromkeys(one.leaf.root for one in passes))
    if position is None and len(roots) == 1:
        return passes
    if position in roots:
        return [one for one in passes if one.leaf.root == position]
    told = f"{len(roots)} events have the id {wanted}" if position is None else f"no event at {position} has the id {wanted}"
    shown = ", ".join(map(str, roots[:SHOWN])) + (f" and {len(roots) - SHOWN} more" if len(roots) > SHOWN else "")
    raise UsageError(told, f"Name one with --position: {shown}")


async def blocks(reader: Reader, ledger: Source, start: int = 0) -> AsyncIterator[tuple[Position, int, Block]]:
    """The blocks of a ledger's partition from an offset on: position, time of writing in ms, block.

    Raises:
        FailedError: a record is no block.
    """
    async for records in reader.read(ledger, start):
        for offset, stamp, value in zip(records.offsets.tolist(), records.timestamps_ms.tolist(), records.values, strict=True):
            try:
                block = unpack(value or b"")
            except ValueError as error:
                raise FailedError(f"The record at {ledger}/{offset} is no block of the ledger: {error}.", _VERIFY) from error
            yield Position(*ledger, offset), stamp, block


def _position(wanted: str, subject: Subject) -> Position | None:
    """The root position that is meant, if one is."""
    try:
        position = Position.parse(wanted)
    except ValueError:
        return None
    return position if position.topic == subject.topics.input else None


def _in_block(block: Block, place: tuple[Position, int], wanted: str, root: Position | None, needle: bytes) -> list[Pass]:
    try:
        leaves = block.leaves()
        at = [index for index, leaf in enumerate(leaves) if needle in leaf]
        details = block.details() if at else []
        found = []
        for index in at:
            leaf = decode(leaves[index])
            if leaf.root == root if root is not None else leaf.event_id == bounded_id(wanted):
                content = readable(details[index], block.details_schema)
                found.append(Pass(leaf, leaves[index], block.origin, block.old_size + index, *place, content))
    except ValueError as error:
        raise FailedError(f"The block at {place[0]} can't be read: {error}.", _VERIFY) from error
    return found


def readable(details: bytes | None, schema: str) -> dict[str, Any] | None:
    """A leaf's details as values, if they can be read."""
    if not details:
        return None
    body = details[HEADER_BYTES:] if details.startswith(MARKER) else details
    try:
        datum = schemaless_reader(io.BytesIO(body), parse_schema(json.loads(schema)), None)
    except _BROKEN:
        return None
    return datum if isinstance(datum, dict) else {"value": datum}
