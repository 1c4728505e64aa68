"""Where a record stands in the log: the source (topic, partition) and the position (source, offset)."""

from typing import NamedTuple, Self


class Source(NamedTuple):
    """A consumed topic partition."""

    topic: str
    partition: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}"


class Position(NamedTuple):
    """One record of the log; the root position is an event's identity."""

    topic: str
    partition: int
    offset: int

    @property
    def source(self) -> Source:
        """The partition that holds the record."""
        return Source(self.topic, self.partition)

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}/{self.offset}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `topic/partition/offset`.

        Raises:
            ValueError: it is not of that form.
        """
        topic, partition, offset = text.rsplit("/", 2)
        return cls(topic, int(partition), int(offset))
