"""The lookup port in memory."""

import time
from collections.abc import Callable, Iterable, Sequence

from schemas.errors import UnreachableError


class MemoryLookup:
    """A `Lookup`. While `down` is set, nothing can be reached; while `refuses` is, it answers with these words only."""

    def __init__(self, entries: Iterable[tuple[str, bytes]] = (), clock: Callable[[], float] = time.time) -> None:
        self.entries: dict[str, bytes] = dict(entries)
        self.down = False
        self.refuses = ""
        self._clock = clock
        self._until_s: dict[str, float] = {}

    async def mget(self, keys: Sequence[str]) -> Sequence[bytes | None]:
        """See Lookup."""
        self._reach()
        return [self._get(key) for key in keys]

    async def claim(self, keys: Sequence[str], owners: Sequence[str], ttl_s: int) -> Sequence[str]:
        """See Lookup."""
        self._reach()
        return [self._claim(key, owner, ttl_s) for key, owner in zip(keys, owners, strict=True)]

    async def load(self, entries: Iterable[tuple[str, bytes]]) -> int:
        """Set many keys; how many."""
        self._reach()
        new = dict(entries)
        self.entries.update(new)
        return len(new)

    async def close(self) -> None:
        """Nothing is held."""

    def _claim(self, key: str, owner: str, ttl_s: int) -> str:
        held = self._get(key)
        if held is not None:
            return held.decode()
        self.entries[key] = owner.encode()
        self._until_s[key] = self._clock() + ttl_s
        return owner

    def _get(self, key: str) -> bytes | None:
        if self._until_s.get(key, float("inf")) <= self._clock():
            del self.entries[key], self._until_s[key]
        return self.entries.get(key)

    def _reach(self) -> None:
        if self.down:
            raise UnreachableError("the store in memory is down")
        if self.refuses:
            raise UnreachableError(f"the store in memory refuses: {self.refuses}")
