"""How long each topic of a flow must keep its records so that the proof holds, and what is wrong with one that keeps them otherwise."""

from collections.abc import Mapping
from dataclasses import dataclass

from connectors.kafka.admin import Topic
from ops.flow.wanted import Basis, waits
from processors.flow.bundle import CONTROL_TOPIC
from processors.flow.spec import FlowFile
from processors.flow.topics import topics_of

_UNIT_MS = (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000))


@dataclass(frozen=True, slots=True)
class Retention:
    """A topic's rule, and a sentence that explains it. In ms; None: no bound; infinity: for ever."""

    why: str
    least_ms: float | None = None
    most_ms: float | None = None
    compacted: bool = False

    def wrong(self, topic: Topic) -> Mapping[str, str]:
        """The topic's settings that are not as the rule says, each with a sentence."""
        policy = topic.kept("cleanup.policy")
        if self.compacted:
            return {} if policy == "compact" else {"cleanup.policy": f"cleanup.policy is {policy}: {self.why}"}
        found = {}
        if policy != "delete":
            found["cleanup.policy"] = f"cleanup.policy is {policy}: a record that is compacted away can't be proven"
        ms = lasts(topic.kept("retention.ms"))
        if (self.least_ms is not None and ms < self.least_ms) or (self.most_ms is not None and ms > self.most_ms):
            found["retention.ms"] = f"it keeps records {told(ms)}: {self.why}"
        if self.least_ms is not None and topic.kept("retention.bytes") != "-1":
            found["retention.bytes"] = f"it drops records by size, before their time: {self.why}"
        return found


def retentions(spec: FlowFile, basis: Basis) -> Mapping[str, Retention]:
    """The rule of each topic but the input, which is not Weft's to alter."""
    names, input_ms, waits_ms = topics_of(spec), lasts(str(basis.retention_ms)), float(waits(spec))
    lives = f"the input keeps them {told(input_ms)}"
    theirs = Retention("outcomes are not compacted")
    waiting = Retention(f"{lives}, and a row may wait {told(waits_ms)}", max(input_ms, waits_ms))
    state = Retention("only the last record of each key counts, and none of those may go by age", compacted=True)
    return {
        names.result: theirs,
        names.quarantine: theirs,
        names.dead_letters: Retention(f"{lives}, and a dead letter's event must still be there", most_ms=input_ms),
        names.reviews: state,
        names.resume: waiting,
        **dict.fromkeys(names.retries, waiting),
        names.generations: state,
        names.ledger: Retention(f"{lives}, and the ledger must prove them as long", input_ms),
        names.checkpoints: Retention("a signed head is never deleted", lasts("-1")),
        CONTROL_TOPIC: state,
    }


def lasts(retention_ms: str) -> float:
    """Milliseconds as Kafka writes them; -1 is for ever."""
    ms = int(retention_ms)
    return float("inf") if ms < 0 else float(ms)


def told(ms: float) -> str:
    """For a person."""
    if ms == float("inf"):
        return "for ever"
    word, unit = next(((word, unit) for word, unit in _UNIT_MS if ms >= unit and ms % unit == 0), ("ms", 1))
    return f"{ms / unit:g} {word}"
