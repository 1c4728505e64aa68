"""The batches in flight, in the order of fetching: how much they hold, and when the next one may follow.

The batch adapts here, without a setting. Transactions end one after another, so an event that is fetched at once only waits for those of
all batches before it. A small batch is therefore followed when its own transaction has begun, so late that the next one is through its
steps when that ends: what comes until then goes together. One whose steps take longer than a transaction, as with a slow model, is
followed when it is half through them: two at a time keep a model at work, and more would only leave in a bunch, and each be small. A large
one is followed at once, up to the bounds: then the steps of several, and the commit of another, overlap.
"""

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import suppress

from streams.parts import Bounds
from streams.work import Work

SMALL = 10  # a batch with less than this part of what one may hold is small


class Flight:
    """A queue bounded by bytes and batches: whoever fetches asks for room first."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._queue: deque[Work] = deque()
        self._bytes = 0
        self._settling: Work | None = None  # whose transaction was begun last
        self._began_s = 0.0  # when
        self._took_s = 0.0  # a transaction takes, by the last ones
        self._stepped_s = 0.0  # a small batch takes for its steps
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
        return self._bytes >= self._bounds.flight_bytes or len(self._queue) >= self._bounds.flight_batches

    async def gathered(self) -> None:
        """Wait until the next batch may follow."""
        loop = asyncio.get_running_loop()
        while early_s := self.early_s(loop.time()):
            await self.changed(early_s)

    def early_s(self, now_s: float) -> float:
        """How long the next batch had better gather, unless one leaves before; 0: it may follow. Never longer than for room."""
        if not self._queue or not self._small(newest := self._queue[-1]):
            return 0.0
        since_s, need_s, most_s = newest.entered_s, max(self._took_s, self._stepped_s / 2), self._bounds.room_s
        if newest is self._settling:
            since_s, need_s = self._began_s, self._took_s - newest.stepped_s
        elif newest.ready.is_set():  # it waits for the transactions of those before it
            need_s = most_s
        return max(0.0, since_s + min(need_s, most_s) - now_s)

    def _small(self, work: Work) -> bool:
        return work.rows * SMALL < self._bounds.batch_rows and work.size_bytes * SMALL < self._bounds.batch_bytes

    def enter(self, work: Work) -> None:
        """The newest batch."""
        work.entered_s = asyncio.get_running_loop().time()
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

    def begins(self, head: Work) -> None:
        """Its transaction is begun."""
        self._settling, self._began_s = head, asyncio.get_running_loop().time()
        self._tell()

    def leave(self, work: Work) -> None:
        """The head has settled."""
        self._took_s = _next(self._took_s, asyncio.get_running_loop().time() - self._began_s)
        if self._small(work):
            self._stepped_s = _next(self._stepped_s, work.stepped_s)
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


def _next(before_s: float, took_s: float) -> float:
    """What the next one is expected to take: one that took very long is an exception."""
    return min(took_s, 2 * before_s) or took_s
