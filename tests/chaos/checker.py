"""The independent checker: reads a flow's topics with plain clients and says what became of every event. It imports nothing of Weft."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import Message
from confluent_kafka.admin import AdminClient

from tests.contract import whole_trees
from tests.integration.outcomes_by_hand import DECISION, DEPARTURE, decoded, everything, headers, leaves_silently

Place = tuple[str, int, int]  # topic, partition, offset
TERMINAL = ("result", "dead-letter", "quarantine", "filtered")


@dataclass(slots=True)
class Found:
    """What was found. `wrong` holds sentences about places; all of them empty is what is promised."""

    events: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)  # records by verdict, and `filtered`, which has none
    aborted: int = 0  # records of transactions that did not commit: faults that struck in the middle of a batch
    degraded: int = 0
    ordered: int = 0  # results compared with the one before them of their key
    leaves: int = 0
    trees: int = 0
    heads: int = 0
    passes: Counter[str] = field(default_factory=Counter)  # leaves by verdict
    reasons: Counter[str] = field(default_factory=Counter)  # of dead letters
    wrong: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def say(self, law: str, places: Sequence[object]) -> None:
        if places:
            self.wrong[law] += [f"{len(places)}: {', '.join(map(str, list(places)[:5]))}"]

    @property
    def holds(self) -> bool:
        return self.events > 0 and not any(self.wrong.values())


@dataclass(frozen=True, slots=True)
class Flow:
    """What to check. `keys` are the verifier keys of its trees."""

    bootstrap: str
    name: str
    keys: Sequence[str]
    by_key: bool = False

    @property
    def outcome_topics(self) -> Mapping[str, str]:
        return {"result": f"out.{self.name}", "dead-letter": f"{self.name}.dead-letters", "quarantine": f"{self.name}.quarantine"}

    def returning(self) -> list[str]:
        """Topics that rows come back by."""
        known = AdminClient({"bootstrap.servers": self.bootstrap}).list_topics(timeout=10).topics
        return [f"{self.name}.resume", *sorted(topic for topic in known if topic.startswith(f"{self.name}.retry."))]


def check(flow: Flow) -> Found:
    """Read all there is, and compare."""
    found = Found()
    inputs = {_place(message): message for message in everything(flow.bootstrap, f"in.{flow.name}")}
    outcomes = {verdict: everything(flow.bootstrap, topic) for verdict, topic in flow.outcome_topics.items()}
    found.events = len(inputs)
    raw = sum(len(everything(flow.bootstrap, topic, "read_uncommitted")) for topic in flow.outcome_topics.values())
    found.aborted = raw - sum(map(len, outcomes.values()))
    once(found, inputs, outcomes)
    true(found, inputs, outcomes)
    leaves = _ledger(found, flow)
    if leaves is not None:
        _leaves(found, flow, inputs, leaves)
        _outputs(found, outcomes, leaves)
        if flow.by_key:
            in_order(found, outcomes["result"], leaves)
    return found


def once(found: Found, inputs: Mapping[Place, Message], outcomes: Mapping[str, Sequence[Message]]) -> None:
    """Each position of the input has one outcome, or is one that leaves without a record."""
    seen = Counter(_root(message) for messages in outcomes.values() for message in messages)
    silent = {place for place, message in inputs.items() if leaves_silently(message.value())}
    found.outcomes.update({verdict: len(messages) for verdict, messages in outcomes.items()} | {"filtered": len(silent)})
    found.say("lost", sorted(inputs.keys() - seen.keys() - silent))
    found.say("twice", [place for place, count in seen.items() if count > 1 or place in silent])
    found.say("invented", [place for place in seen if place not in inputs])


def true(found: Found, inputs: Mapping[Place, Message], outcomes: Mapping[str, Sequence[Message]]) -> None:
    """An outcome is of the event that it names."""
    of_another = []
    for verdict, messages in outcomes.items():
        for message in messages:
            event = inputs.get(_root(message))
            if event is None:
                continue
            same = message.key() == event.key()
            if verdict == "result":
                result = decoded(message.value(), DECISION)
                found.degraded += result["degraded"]
                same = same and result["flight_id"] == decoded(event.value(), DEPARTURE)["flight_id"]
            elif verdict == "dead-letter":
                same = same and message.value() == event.value()
                found.reasons[dict(headers(message)).get("ce_weftreason", b"").decode()] += 1  # type: ignore[union-attr]
            if not same:
                of_another.append(_place(message))
    found.say("of another event", of_another)


def _ledger(found: Found, flow: Flow) -> list[dict[str, Any]] | None:
    """The leaves, once the trees are proven."""
    blocks, notes = (everything(flow.bootstrap, f"{flow.name}.{topic}") for topic in ("ledger", "checkpoints"))
    blocks.sort(key=lambda message: (message.partition(), message.offset()))
    try:
        whole = whole_trees.verify((message.value() or b"" for message in blocks), [message.value() or b"" for message in notes], flow.keys)
    except Exception as error:
        found.say("ledger", [f"{type(error).__name__}: {error}"])
        return None
    found.trees, found.heads, found.leaves = len(whole.trees), whole.heads, len(whole.leaves)
    found.say("not signed to its end", [tree.origin for tree in whole.trees.values() if tree.signed != tree.size])
    return whole.leaves


def _leaves(found: Found, flow: Flow, inputs: Mapping[Place, Message], leaves: Sequence[Mapping[str, Any]]) -> None:
    """Each consumed record has one leaf, with its digest where it is an event's own; each event one terminal leaf."""
    consumed = set(inputs) | {_place(message) for topic in flow.returning() for message in everything(flow.bootstrap, topic)}
    decided = Counter(_of(leaf["position"]) for leaf in leaves)
    found.say("without a leaf", sorted(consumed - decided.keys()))
    found.say("a leaf of nothing", sorted(decided.keys() - consumed))
    found.say("leaves of one record", [place for place, count in decided.items() if count > 1])
    own = [leaf for leaf in leaves if leaf["position"] == leaf["root"] and _of(leaf["root"]) in inputs]
    found.say("another input than its leaf's", [leaf["root"] for leaf in own if leaf["input"] != _digest(inputs[_of(leaf["root"])])])
    ends = Counter((_of(leaf["root"]), leaf["generation"]) for leaf in leaves if leaf["verdict"] in TERMINAL)
    found.say("ended in the ledger more than once", [end for end, count in ends.items() if count > 1])
    found.say("not ended in the ledger", sorted(inputs.keys() - {place for place, _ in ends}))
    silent = {_of(leaf["root"]) for leaf in leaves if leaf["verdict"] == "filtered"}
    wanted = {place for place, message in inputs.items() if leaves_silently(message.value())}
    found.say("filtered or not, against its rule", sorted(silent ^ wanted))
    found.passes.update(leaf["verdict"] for leaf in leaves)


def _outputs(found: Found, outcomes: Mapping[str, Sequence[Message]], leaves: Sequence[Mapping[str, Any]]) -> None:
    """What stands on the outcome topics is what the leaves say."""
    there = Counter((verdict, _root(message), _digest(message)) for verdict, messages in outcomes.items() for message in messages)
    said = Counter((leaf["verdict"], _of(leaf["root"]), leaf["output"]) for leaf in leaves if leaf["verdict"] in outcomes)
    found.say("an outcome without its leaf", [(verdict, place) for verdict, place, _ in there - said])
    found.say("a leaf without its outcome", [(verdict, place) for verdict, place, _ in said - there])


def in_order(found: Found, results: Sequence[Message], leaves: Sequence[Mapping[str, Any]]) -> None:
    """Results of one key stand in the order of their events, but for those that waited for a person."""
    waited = {_of(leaf["root"]) for leaf in leaves if leaf["pass"]}
    last: dict[bytes | None, Place] = {}
    before = []
    for message in sorted(results, key=lambda message: (message.partition(), message.offset())):
        place, key = _root(message), message.key()
        if place in waited:
            continue
        found.ordered += key in last
        if key in last and place <= last[key]:
            before.append((last[key], place))
        last[key] = place
    found.say("out of order", before)


def _place(message: Message) -> Place:
    return str(message.topic()), message.partition() or 0, message.offset() or 0


def _of(position: Sequence[Any]) -> Place:
    topic, partition, offset = position
    return topic, partition, offset


def _root(message: Message) -> Place:
    """The event that an outcome names."""
    position = next((value or b"").decode() for name, value in headers(message) if name == "ce_weftposition")
    topic, partition, offset = position.rsplit("/", 2)
    return topic, int(partition), int(offset)


def _digest(message: Message) -> bytes:
    """As docs/ledger.md has it: key and value, each behind its length."""
    return hashlib.sha256(b"".join(_counted(message))).digest()


def _counted(message: Message) -> Iterator[bytes]:
    for part in (message.key(), message.value()):
        raw = part.encode() if isinstance(part, str) else part
        yield (-1 if raw is None else len(raw)).to_bytes(4, "big", signed=True)
        yield raw or b""
