"""What is audited: one flow's topics, the log's name, and the public keys that are trusted."""

from dataclasses import dataclass

from processors.flow.compiled import Topics
from schemas.positions import Source
from streams.ledger.key import Verifier
from streams.ledger.tree import origin


@dataclass(frozen=True, slots=True)
class Subject:
    """One flow, all versions."""

    flow: str  # name
    topics: Topics
    log_name: str
    keys: tuple[bytes, ...]  # public keys; each signs every tree under the tree's name
    latest: str = ""  # the topic whose tree may begin behind records that stand there (input.start)

    def origin(self, source: Source) -> str:
        """The name of a source's tree."""
        return origin(self.log_name, self.flow, source)

    def verifiers(self, tree: str) -> list[Verifier]:
        """The trusted keys under a tree's name."""
        return [Verifier(tree, public) for public in self.keys]

    def consumes(self, topic: str) -> bool:
        """Whether a tree may be of this topic. Another version of the flow may have had other retry topics."""
        return topic in self.topics.consumed or topic.startswith(f"{self.flow}.retry.")
