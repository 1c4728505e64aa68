"""Arrow arrays on their way to NumPy. What has nothing to do isn't asked of Arrow, as a call takes as long for one row as for hundreds."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa


def filled(column: pa.Array, value: Any) -> pa.Array:
    """The column with this value for each null."""
    return column.fill_null(value) if column.null_count else column


def as_type(column: pa.Array, kind: pa.DataType) -> pa.Array:
    """The column in this type."""
    return column if column.type == kind else column.cast(kind)


def flags(column: pa.Array) -> npt.NDArray[np.bool_]:
    """Booleans without a null."""
    found: npt.NDArray[np.bool_] = column.to_numpy(zero_copy_only=False)
    return found
