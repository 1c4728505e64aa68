"""Leaves as the audit reads them: decoded once, checked, kept as plain columns."""

from typing import Any

import cbor2
import numpy as np
import numpy.typing as npt

from ops.audit.report import Law, Report
from streams.ledger.block import Block
from streams.ledger.leaf import FIELDS, all_canonical, well_typed

OWN, ROOT, GENERATION, PASS, EVENT, FLOW, VERDICT, REASON, RULE, MODEL, DEGRADED, INPUT, OUTPUT, DETAILS, SALT = range(1, FIELDS)

Row = list[Any]
"""The fields of one leaf, numbered as in docs/ledger.md."""


def rows_of(block: Block, leaves: list[bytes], report: Report) -> tuple[list[Row], npt.NDArray[np.int64]]:
    """The block's leaves as rows, and their consumed offsets. What is no leaf of this block is found, and left out."""
    rows: list[Row] = []
    read: list[bytes] = []
    topic, partition = block.source
    previous = block.first - 1
    for leaf in leaves:
        try:
            row = cbor2.loads(leaf)
        except (cbor2.CBORDecodeError, TypeError, OverflowError, MemoryError, RecursionError):
            row = None
        if not well_typed(row):
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
        read.append(leaf)
    if not all_canonical(rows, read):
        report.find(
            Law.TREES, f"{block.origin}: a leaf between offsets {block.first} and {block.next} is not in the one encoding that it has."
        )
    return rows, np.fromiter((row[OWN][2] for row in rows), np.int64, len(rows))
