"""The in-memory twin of an exporter."""

from collections.abc import Sequence

from connectors.telemetry.span import Span
from schemas.errors import UnreachableError


class MemoryExporter:
    """Keeps the spans; while `down`, it can't be reached."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.down = False

    def export(self, spans: Sequence[Span]) -> None:
        """See Exporter."""
        if self.down:
            raise UnreachableError("the collector can't be reached", "")
        self.spans += spans

    def close(self) -> None:
        """Nothing."""
