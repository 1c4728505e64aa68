"""The batches in flight, in the order of fetching, and how much they hold."""

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import suppress

from streams.work import Work


class Flight:
    """A queue bounded by bytes and batches: whoever fetches asks for room first."""

    def __init__(self, most_bytes: int, most_batches: int) -> None:
        self._most_bytes = most_bytes
        self._most_batches = most_batches
        self._queue: deque[Work] = deque()
        self._bytes = 0
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._queue)

    @property
    def held_bytes(self) -> int:
        """Of record values in flight."""
        return self._bytes

    @property
    def full(self) -> bool:
        """Whether nothing more should be fetched."""
        return self._bytes >= self._most_bytes or len(self._queue) >= self._most_batches

    def enter(self, work: Work) -> None:
        """The newest batch."""
        work.previous = self._queue[-1] if self._queue else None
        self._queue.append(work)
        self._bytes += work.size_bytes
        self._tell()

    def works(self) -> Iterator[Work]:
        """The oldest first."""
        return iter(self._queue)

    def head(self) -> Work | None:
        """The oldest batch."""
        return self._queue[0] if self._queue else None

    def leave(self, work: Work) -> None:
        """The head has settled."""
        if self._queue and self._queue[0] is work:
            self._queue.popleft()
            self._bytes -= work.size_bytes
            if self._queue:
                self._queue[0].previous = None
            self._tell()

    def drop_all(self) -> None:
        """Make all void."""
        while self._queue:
            self._drop_last()
        self._tell()

    def drop_behind(self, head: Work) -> None:
        """Make all but the head void."""
        while self._queue[-1] is not head:
            self._drop_last()
        self._tell()

    def _drop_last(self) -> None:
        work = self._queue.pop()
        self._bytes -= work.size_bytes
        work.drop()

    async def changed(self, timeout_s: float) -> None:
        """Wait for a batch to enter or leave, but not longer than that."""
        self._changed.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):  # wait_for would swallow a cancellation that comes with the change (until Python 3.12)
                await self._changed.wait()

    def _tell(self) -> None:
        self._changed.set()
