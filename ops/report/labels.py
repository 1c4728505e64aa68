"""Names of what is counted, as numbers: a bounded number of them, and one for all others."""

from collections.abc import Iterable
from typing import Final

import numpy as np
import numpy.typing as npt

LIMIT: Final = 300
OTHERS: Final = "(others)"


class Labels:
    """Gives each name a number, in the order in which they come."""

    def __init__(self) -> None:
        self._codes: dict[str, int] = {}

    @property
    def names(self) -> list[str]:
        """By number."""
        return list(self._codes)

    def codes(self, names: Iterable[str]) -> npt.NDArray[np.int64]:
        """The number of each name."""
        return np.array([self.code(name) for name in names], np.int64)

    def code(self, name: str) -> int:
        """The number of a name."""
        found = self._codes.get(name)
        if found is None:
            found = self._codes.setdefault(name if len(self._codes) < LIMIT else OTHERS, len(self._codes))
        return found
