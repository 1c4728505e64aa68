"""A sink in memory, which goes away as told."""

from collections import deque
from collections.abc import Collection, Iterable, Sequence

from connectors.sink import Message
from schemas.errors import WeftError


class MemorySink:
    """Keeps messages in the list that it is given. `script`: after how many messages each send breaks off, with which error."""

    def __init__(self, kept: list[Message], script: Iterable[tuple[int, WeftError] | None] = ()) -> None:
        self._kept = kept
        self._script = deque(script)

    async def sent(self, keys: Sequence[str]) -> Collection[str]:
        """See Sink."""
        return {message.key for message in self._kept} & set(keys)

    async def send(self, messages: Sequence[Message]) -> None:
        """See Sink."""
        breaks = self._script.popleft() if self._script else None
        if breaks is None:
            self._kept += messages
            return
        count, error = breaks
        self._kept += messages[:count]
        raise error

    async def close(self) -> None:
        """See Sink."""
