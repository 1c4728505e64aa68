"""The signer: publishes the signed heads of committed trees, at most one per tree and second, and never of any other tree."""

from connectors.log import Outgoing, Publisher
from schemas.errors import WeftError
from streams.clock import Clock
from streams.ledger import checkpoint
from streams.ledger.key import LogKey
from streams.ledger.tree import Tree

PERIOD_S = 1.0


class Signer:
    """One worker's. Whoever tells it of a tree must know it committed: the commit returned success, or it was read back."""

    def __init__(self, publisher: Publisher, topic: str, key: LogKey, clock: Clock) -> None:
        self._publisher, self._topic, self._key, self._clock = publisher, topic, key, clock
        self._due: dict[str, Tree] = {}
        self._signed: dict[str, int] = {}  # size, by origin
        self.fault: str = ""  # why the last try failed; empty when it did not

    def committed(self, tree: Tree) -> None:
        """This head is committed: sign it soon. Never waits."""
        if tree.size > self._signed.get(tree.origin, 0):
            self._due[tree.origin] = tree

    @property
    def unsigned(self) -> int:
        """How many trees have a head that is not published yet."""
        return len(self._due)

    async def run(self) -> None:
        """Publish once a second, until cancelled. A failure is tried again; it stops nobody."""
        while True:
            await self.flush()
            await self._clock.sleep(PERIOD_S)

    async def flush(self) -> bool:
        """Publish what is due now, for a drain; whether all of it has landed."""
        due = list(self._due.values())
        if not due:
            return True
        notes = [checkpoint.sign(checkpoint.head(tree), self._key) for tree in due]
        try:
            await self._publisher.publish(Outgoing(self._topic, [tree.origin.encode() for tree in due], notes))
        except WeftError as error:
            self.fault = error.sentence
            return False
        self.fault = ""
        for tree in due:
            self._signed[tree.origin] = max(tree.size, self._signed.get(tree.origin, 0))
            if self._due.get(tree.origin) is tree:  # else it has grown meanwhile
                del self._due[tree.origin]
        return True
