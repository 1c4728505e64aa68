"""What a verification leaves behind, so that the next one reads only what is new.

It is the auditor's own file: who can change it can hide what came before.
"""

import os
from collections import Counter
from pathlib import Path
from typing import Any, Final

import cbor2

from ops.audit.consumed import Consumed
from ops.audit.growth import Growth
from ops.audit.passes import Passes, Wait
from ops.audit.signed import Heads
from ops.audit.verify import Verification
from schemas.errors import UsageError
from schemas.positions import Source

VERSION: Final = 1
_GROWTH: Final = ("size", "next", "topic_id", "last_block", "previous", "unsigned_since_ms")


def save(run: Verification, path: Path) -> None:
    """Keep where the run ended; the file is replaced whole or not at all."""
    state = {
        "version": VERSION,
        "flow": run.subject.flow,
        "log": run.subject.log_name,
        "trees": {origin: _tree(growth, run.consumed[origin].at) for origin, growth in run.growths.items()},
        "heads": {origin: heads.proven for origin, heads in run.signed.heads.items()},
        "unread": [[*head, run.signed.heads[head.origin].due[head.size]] for head in sorted(run.unread)],
        "passes": {
            number: {
                "waits": [[*key, *wait] for key, wait in passes.waits.items()],
                "dead": [[root, *dead] for root, dead in passes.dead.items()],
            }
            for number, passes in run.passes.items()
        },
        "next": {"ledger": run.next, "signed": run.signed.next, "seen": [[*source, offset] for source, offset in run.seen.next.items()]},
        "open": {"missing": dict(run.missing), "extra": dict(run.extra)},
    }
    fresh = path.with_name(path.name + ".new")
    try:
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            cbor2.dump(state, file)
        fresh.replace(path)
    except OSError as error:
        raise UsageError(f"The state can't be written to {path}: {error.strerror}.") from error


def restore(run: Verification, path: Path) -> bool:
    """Go on where an earlier run ended; False if there is no such file.

    Raises:
        UsageError: the file is none of ours, or of another flow.
    """
    try:
        state = cbor2.loads(path.read_bytes())
    except FileNotFoundError:
        return False
    except (OSError, cbor2.CBORDecodeError) as error:
        raise UsageError(f"The state {path} can't be read: {error}.") from error
    if not isinstance(state, dict) or state.get("version") != VERSION:
        raise UsageError(f"{path} is no state of a verification.", "Give another file, or none.")
    if (state["flow"], state["log"]) != (run.subject.flow, run.subject.log_name):
        raise UsageError(f"{path} is the state of {state['log']}/{state['flow']}, not of {run.subject.log_name}/{run.subject.flow}.")
    _heads(run, state)
    for origin, tree in state["trees"].items():
        _regrow(run, origin, tree)
    for number, kept in state["passes"].items():
        run.passes[number] = passes = Passes(run.subject, number, run.report, run.ledger)
        passes.waits.update({(root, generation): Wait(*wait) for root, generation, *wait in kept["waits"]})
        passes.dead.update({root: (generation, taken) for root, generation, taken in kept["dead"]})
    run.next.update(state["next"]["ledger"])
    run.signed.next.update(state["next"]["signed"])
    run.seen.next.update({Source(topic, partition): offset for topic, partition, offset in state["next"]["seen"]})
    run.missing, run.extra = Counter(state["open"]["missing"]), Counter(state["open"]["extra"])
    return True


def _heads(run: Verification, state: dict[str, Any]) -> None:
    """The heads that were proven, and those whose blocks could not be read yet."""
    for origin, proven in state["heads"].items():
        run.signed.heads[origin] = Heads(proven=proven)
    for origin, size, root in state.get("unread", ()):
        run.signed.heads[origin].due[size] = root


def _tree(growth: Growth, consumed: int) -> dict[str, Any]:
    kept: dict[str, Any] = {name: getattr(growth, name) for name in _GROWTH}
    return kept | {"source": list(growth.source), "frontier": list(growth.frontier), "consumed": consumed}


def _regrow(run: Verification, origin: str, tree: dict[str, Any]) -> None:
    source = Source(*tree["source"])
    growth = Growth(
        origin, source, run.report, run.signed.heads[origin], frontier=tuple(tree["frontier"]), **{name: tree[name] for name in _GROWTH}
    )
    run.growths[origin] = growth
    run.consumed[origin] = Consumed(run.reader, source, tree["consumed"], run.report)
