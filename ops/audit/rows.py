"""Leaves as the audit reads them: decoded once, checked, kept as plain columns."""

from typing import Any, Final

import cbor2
import numpy as np
import numpy.typing as npt

from ops.audit.report import Law, Report
from streams.ledger.block import Block
from streams.ledger.leaf import FIELDS, VERSION

OWN, ROOT, GENERATION, PASS, EVENT, FLOW, VERDICT, REASON, RULE, MODEL, DEGRADED, INPUT, OUTPUT, DETAILS, SALT = range(1, FIELDS)

Row = list[Any]
"""The fields of one leaf, numbered as in docs/ledger.md."""

_TYPES: Final = (int, list, list, int, int, str, str, str, str, str, str, bool, bytes, bytes, bytes, bytes)
_PLACE: Final = (str, int, int)


def rows_of(block: Block, leaves: list[bytes], report: Report) -> tuple[list[Row], npt.NDArray[np.int64]]:
    """The block's leaves as rows, and their consumed offsets. What is no leaf of this block is found, and left out."""
    rows: list[Row] = []
    topic, partition = block.source
    previous = block.first - 1
    for leaf in leaves:
        try:
            row = cbor2.loads(leaf)
        except (cbor2.CBORDecodeError, TypeError, OverflowError, MemoryError, RecursionError):
            row = None
        if not _whole(row):
            report.find(Law.TREES, f"{block.origin}: a leaf between offsets {block.first} and {block.next} can't be read.")
            continue
        own_topic, own_partition, offset = row[OWN]
        if own_topic != topic or own_partition != partition or not previous < offset < block.next:
            report.find(
                Law.TREES, f"{block.origin}: the leaf of {own_topic}/{own_partition}/{offset} stands out of order or in the wrong tree."
            )
            continue
        previous = offset
        rows.append(row)
    return rows, np.fromiter((row[OWN][2] for row in rows), np.int64, len(rows))


def _whole(row: Any) -> bool:
    if type(row) is not list or len(row) != FIELDS or row[0] != VERSION:
        return False
    if tuple(map(type, row)) != _TYPES:
        return False
    return tuple(map(type, row[OWN])) == _PLACE and tuple(map(type, row[ROOT])) == _PLACE
