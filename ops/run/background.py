"""Starts a flow in the background, and waits until its workers hold their partitions; else nothing of it is left."""

import time
from collections.abc import Callable

from ops.run.child import Fault, fault
from ops.run.held import require_free
from ops.run.runs import GRACE_S, POLL_S, Run
from ops.run.supervisor import LOOK_S, Plan
from ops.run.watching import Watching
from ops.stack.alone import alone
from schemas.errors import FailedError, UnreachableError, UsageError, WeftError
from schemas.vocabulary import Exit

SETTLE_S = 5.0
START_S = 60.0  # a bigger run before this one may hold partitions for ten seconds, an open transaction for as long again
KINDS: dict[int, type[WeftError]] = {Exit.USAGE: UsageError, Exit.UNREACHABLE: UnreachableError}


def start(plan: Plan, show: Callable[[Watching], None]) -> Watching | None:
    """How the workers stand once they hold everything; None if there was so little to do that they have ended.

    Raises:
        WeftError: it is run already, or did not come that far; nothing is left running then.
    """
    run = Run(plan.data, plan.flow)
    with alone(run.folder / "start.lock"):
        require_free(plan.data, plan.flow)
        watching = Watching(plan.slots())
        run.start(plan)
        try:
            worked = _held(run, plan, watching, show)
            _settled(watching, show)
            return watching if worked else None
        except BaseException:  # also an interrupt
            run.daemon.stop(GRACE_S)
            raise
        finally:
            watching.close()


def _held(run: Run, plan: Plan, watching: Watching, show: Callable[[Watching], None]) -> bool:
    """Wait until the workers hold everything. False if they have done all there was, and have ended."""
    began_s, until_s = time.time(), time.monotonic() + START_S
    while not watching.hold(plan.sources):
        if run.daemon.started and run.daemon.process() is None:
            found = run.holder()
            if plan.until_idle and found is not None and found.ended == Exit.DONE:
                return False
            raise FailedError(f"{plan.flow} ended while it was starting{_last_words(run)}", f"look at it: weft logs {plan.flow}")
        said = _fault(plan, began_s)
        late = time.monotonic() > until_s
        if said is not None and (late or said.code == Exit.USAGE):  # a wrong setting does not heal
            raise KINDS.get(said.code, FailedError)(f"{plan.flow} could not start: {said.sentence}", said.hint)
        if late:
            raise FailedError(f"{plan.flow} did not take up its partitions within {START_S:.0f} s", f"look at it: weft logs {plan.flow}/0")
        _look(watching, show)
    return True


def _settled(watching: Watching, show: Callable[[Watching], None]) -> None:
    """Partitions may still move to a worker that came later; what else they wait for may take long, and is told."""
    until_s = time.monotonic() + SETTLE_S
    while watching.reasons() and time.monotonic() < until_s:
        _look(watching, show)


def _look(watching: Watching, show: Callable[[Watching], None]) -> None:
    if watching.looked(LOOK_S / 5):
        show(watching)
    time.sleep(POLL_S)


def _fault(plan: Plan, since_s: float) -> Fault | None:
    """The last one of a worker of this start."""
    faults = [said for slot in plan.slots() if (said := fault(slot)) is not None and said.at_s >= since_s]
    return max(faults, key=lambda said: said.at_s, default=None)


def _last_words(run: Run) -> str:
    said = [line.removeprefix("error: ") for line in run.daemon.tail().splitlines() if line.startswith("error: ")]
    return f": {said[-1]}" if said else ""
