"""What `weft audit verify` says of a history: its own code reads the simulated log, in the middle while workers run, and at the end."""

from dataclasses import dataclass

from ops.audit.report import Report
from ops.audit.subject import Subject
from ops.audit.verify import Verification
from processors.flow.compiled import together
from schemas.positions import Position
from tests.simulation.events import LATER, TOPICS
from tests.simulation.fabric import Fabric
from tests.simulation.laws import BrokenError, Law
from tests.simulation.ports import SimClock, SimReader

FOREVER_MS = 1 << 40


@dataclass(frozen=True, slots=True)
class Auditor:
    """Knows what a stranger knows: the topics, the log's name, its public key."""

    fabric: Fabric

    async def at_work(self) -> None:
        """While workers run, or lie about: nothing may be found, whatever is under way. Heads are signed when the publisher is back."""
        self._proven(await self._verified(FOREVER_MS))

    async def at_end(self) -> None:
        """All has ended: nothing waits, nothing is unsigned, and the ledger has every leaf that was committed."""
        report, proof = await self._verified(0), self.fabric.proof
        self._proven(report)
        if unseen := [root for root in proof.lives.forged if not any(_about(root, sentence) for _, sentence in report.findings)]:
            raise BrokenError(Law.PROVEN, f"{unseen[0]} was redriven though it was no dead letter, and verify does not see it")
        counts, leaves = report.counts, sum(grown.tree.size for grown in proof.grown.values())
        if left := {name: counts[name] for name in ("waiting", "not taken in", "unsigned") if counts[name]}:
            raise BrokenError(Law.PROVEN, f"all has ended, and verify counts {left}")
        if counts["leaves"] != leaves:
            raise BrokenError(Law.PROVEN, f"verify has read {counts['leaves']} leaves, {leaves} were committed")

    async def _verified(self, grace_ms: int) -> Report:
        fabric = self.fabric
        reader = SimReader(fabric.broker)
        reader.weather = fabric.weather
        subject = Subject("f", together([LATER, TOPICS]), "weft", (fabric.key.verifier("sim").public,))
        return await Verification(reader, subject, clock=SimClock(fabric.loop), grace_ms=grace_ms).run()

    def _proven(self, report: Report) -> None:
        self.fabric.tell("audit", f"{report.counts['leaves']} leaves, {report.counts['outcomes']} outcomes")
        forged = self.fabric.proof.lives.forged
        wrong = [sentence for _, sentence in report.findings if not any(_about(root, sentence) for root in forged)]
        if wrong:
            raise BrokenError(Law.PROVEN, "; ".join(wrong))


def _about(root: Position, sentence: str) -> bool:
    """Whether a finding is about this event. The lane takes a plausible redrive that somebody forged; verify must see it."""
    return f"(event {root})" in sentence
