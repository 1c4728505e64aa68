"""The digest of what a model learnt from."""

import hashlib
import io

import pyarrow as pa
from pyarrow import csv


def digest(table: pa.Table) -> str:
    """SHA-256 of the rows' columns, null is not zero."""
    total = hashlib.sha256()
    for name, column in zip(table.column_names, table.columns, strict=True):
        total.update(f"{name}:{column.type}:{len(column)}\n".encode())
        sink = io.BytesIO()
        csv.write_csv(pa.table({name: column}), sink)
        total.update(sink.getvalue())
    return total.hexdigest()
