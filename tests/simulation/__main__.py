"""The command behind `make simulate` and `make mutants`: seeded histories of whole workers, and the mutants that they must find.

python -m tests.simulation                      histories until the time is up
python -m tests.simulation --seed 17            the story of one
python -m tests.simulation --file HISTORY.json  the story of a recorded one
python -m tests.simulation --mutants [NAME]     each mutant until it is found
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from tests.simulation.mutants import MUTANTS, mutate

SECOND_LINE = 2_000  # histories without a second line of defence, whose first line stands


def main(words: Sequence[str]) -> int:
    """Run; 0 if every law held, or every mutant was found."""
    asked = _asked(words)
    if asked.mutants is not None:
        return _mutants(asked)
    if asked.mutant:
        mutate(asked.mutant)
    report: Any = import_module("tests.simulation.report")  # behind the mutant: what it imports is the mutant's
    return int(report.run(asked))


def _asked(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seed", type=int, help="tell the story of this seed")
    parser.add_argument("--file", help="tell the story of a recorded history")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--histories", type=int, default=1_000_000, help="how many at most")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long at most")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="side by side")
    parser.add_argument("--mutant", choices=[mutant.name for mutant in MUTANTS], help="with this law taken out")
    parser.add_argument("--mutants", nargs="?", const="", help="each mutant whose name holds this word")
    parser.add_argument("--record", help="write the shortest history found that breaks a law to this file")
    return parser.parse_args(words)


def _mutants(asked: argparse.Namespace) -> int:
    """A process for each mutant: in it the code is patched before it is imported."""
    survivors, chosen = [], [mutant for mutant in MUTANTS if asked.mutants in mutant.name]
    print("| mutant | the law it takes out | found by | seeds |\n|---|---|---|---:|")
    for mutant in chosen:
        command = [sys.executable, "-W", "ignore", "-m", "tests.simulation", "--mutant", mutant.name, "--first", str(asked.first)]
        histories = min(asked.histories, SECOND_LINE if mutant.behind else 10_000)
        command += ["--histories", str(histories), "--seconds", "900", "--processes", str(asked.processes)]
        said = subprocess.run(command, capture_output=True, text=True, check=False)
        found = next((line.split() for line in said.stdout.splitlines() if line.startswith("BROKEN ")), None)
        if found is None and (said.returncode or not mutant.behind):
            survivors.append(mutant.name)
            print(said.stdout[-300:], said.stderr[-2_000:], file=sys.stderr)
        nothing = f"nothing alone, see: {mutant.behind}" if mutant.behind else "**nothing**"
        law, seeds = (found[1], found[2]) if found else (nothing, f"{histories:,}")
        print(f"| {mutant.name} | {mutant.law} | {law} | {seeds} |", flush=True)
    sought = sum(not mutant.behind for mutant in chosen)
    print(f"\n{sought - len(survivors)} of {sought} mutants found" + "".join(f"\nnot found: {name}" for name in survivors))
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
