"""Which partitions are paused, and why: the flow is, the lane is full, or the next row of a retry topic is not due."""

from collections.abc import Iterable

from connectors.log import Log
from schemas.positions import Source
from streams.returned import SKEW_MS


class Pauses:
    """Keeps the log's pauses as they should be; the member stays in the group and goes on polling."""

    def __init__(self, longest_ms: int) -> None:
        """`longest_ms`: no row waits longer. Who seems to was put to sleep by another clock, or before this one was set back."""
        self._longest_ms = longest_ms
        self.reasons: set[str] = set()  # while any stands, everything is paused
        self.full = False
        self.asleep: dict[Source, int] = {}  # until when, ms since 1970
        self._paused: set[Source] = set()

    @property
    def everything(self) -> bool:
        """Whether nothing at all is fetched."""
        return bool(self.reasons) or self.full

    async def apply(self, log: Log, owned: Iterable[Source], now_ms: int) -> None:
        """Pause and resume what must be."""
        for source in [source for source, due_ms in self.asleep.items() if not now_ms < due_ms <= now_ms + self._longest_ms + SKEW_MS]:
            del self.asleep[source]
        everything = self.everything
        wanted = set(owned) if everything else set(self.asleep) & set(owned)
        stop, go, self._paused = wanted - self._paused, self._paused - wanted, wanted  # what is lost meanwhile is taken out of it
        if stop:
            await log.pause(sorted(stop))
        if go:
            await log.resume(sorted(go))

    def forget(self, sources: Iterable[Source]) -> None:
        """Partitions went to another owner."""
        for source in sources:
            self.asleep.pop(source, None)
            self._paused.discard(source)
