"""`python -m tests.chaos`: real events, real faults, and what became of every event. `make chaos` runs it."""

import argparse
import signal
import sys
import tempfile
import time
from pathlib import Path

from tests.chaos import namespace, story
from tests.chaos.faults import KINDS
from tests.chaos.run import Asked, fire


def main() -> int:
    parser = argparse.ArgumentParser("python -m tests.chaos", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--faults", type=int, default=110)
    parser.add_argument("--seed", type=int, default=int(time.time()), help="the same seed gives the same faults in the same order")
    parser.add_argument("--minutes", type=float, default=40.0, help="no fault begins later")
    parser.add_argument("--lite", action="store_true", help="without a model server, and one flow only")
    parser.add_argument("--only", default="", help="only faults in whose name this stands")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("told to end"))  # so that nothing is left running
    if namespace.inside() is None:
        why_not = namespace.why_not()
        if not why_not:
            return namespace.run_inside("tests.chaos", sys.argv[1:])
        say(f"No disk is filled up: {why_not}")
    with tempfile.TemporaryDirectory(prefix="weft-chaos-") as folder:
        shares = {kind.name: kind.share for kind in KINDS if asked.only in kind.name}
        outcome = fire(Asked(asked.events, asked.faults, asked.seed, asked.minutes, not asked.lite, shares), Path(folder), say)
    say("")
    for line in story.table(outcome.blows):
        say(line)
    for name, found in outcome.found.items():
        for line in story.told(name, found):
            say(line)
        say(f"  weft audit verify: {'proven' if outcome.verified[name] else 'NOT PROVEN'}")
    for sentence in outcome.said:
        say(f"noted: {sentence}")
    late = story.late(outcome.blows)
    for sentence in late:
        say(f"later than promised: {sentence}")
    return 0 if outcome.holds and not late else 1


def say(sentence: str) -> None:
    print(sentence, flush=True)


if __name__ == "__main__":
    sys.exit(main())
