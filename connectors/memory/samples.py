"""The samples port in memory."""

from collections import deque

from processors.ports import Sample


class MemorySamples:
    """Holds samples until somebody takes them, up to a number of rows."""

    def __init__(self, room: int = 100_000) -> None:
        self._room = room
        self.held: deque[Sample] = deque()

    def offer(self, sample: Sample) -> int:
        """See Samples."""
        left = self._room - sum(len(one.columns) for one in self.held)
        taken = max(0, min(left, len(sample.columns)))
        if taken:
            self.held.append(Sample(sample.flow, sample.step, sample.columns.slice(0, taken)))
        return taken
