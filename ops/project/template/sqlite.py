"""Sqlite: each outcome as a row of a table; the idempotency key is its primary key, so a row that comes twice is there once."""

import sqlite3
from collections.abc import Collection, Sequence
from contextlib import closing
from pathlib import Path

from connectors.sink import Example, Message, SinkSpec


class Spec(SinkSpec):
    """What a sink file tells it."""

    file: Path  # below the project's folder, unless absolute


class Sink:
    """A table `outcomes`: key, event, value (JSON)."""

    def __init__(self, spec: Spec, folder: Path) -> None:
        self._file = folder / spec.file
        with closing(self._open()) as table, table:
            table.execute("CREATE TABLE IF NOT EXISTS outcomes (key TEXT PRIMARY KEY, event TEXT, value TEXT)")

    def _open(self) -> sqlite3.Connection:
        return sqlite3.connect(self._file)

    async def sent(self, keys: Sequence[str]) -> Collection[str]:
        """Those of the keys that are in the table."""
        with closing(self._open()) as table:
            return {key for key in keys if table.execute("SELECT 1 FROM outcomes WHERE key = ?", (key,)).fetchone()}

    async def send(self, messages: Sequence[Message]) -> None:
        """Insert them, all or none."""
        with closing(self._open()) as table, table:
            table.executemany("INSERT INTO outcomes VALUES (?, ?, ?)", [(one.key, one.event, one.json()) for one in messages])

    async def close(self) -> None:
        """Nothing is held open."""


EXAMPLE = Example({"file": "outcomes.db"})
