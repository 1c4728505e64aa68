"""What `make fuzz` runs: bad input by the million, spoilt files, readers of bytes, poison in a batch, and what coverage guides to."""

import argparse
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from processors.light import keep_pandas_out
from tests.fuzz import poison
from tests.fuzz.encodings import Target, targets
from tests.fuzz.files import Files
from tests.fuzz.readers import readers, spoilt
from tests.fuzz.stream import ROUND, Stream
from tests.fuzz.told import SHOWN, Held, Told, typical

FLAT, SLACK_BYTES = 1.1, 32 << 20  # what the memory at the end may be of that at the start, and beyond that what allocators keep
AGAIN = 30_000  # records that are thrown at the first target once more
ATHERIS = Path(".tools/atheris")


class Run:
    """What was asked, and what was found wrong."""

    def __init__(self, asked: argparse.Namespace) -> None:
        self.asked = asked
        self.wrong: list[str] = []

    def say(self, line: str) -> None:
        print(line, flush=True)

    def part(self, name: str, work: Callable[[Path], None]) -> None:
        """One part, in a folder of its own."""
        began, before = time.monotonic(), len(self.wrong)
        self.say(f"\n{name}")
        with tempfile.TemporaryDirectory(prefix="weft-fuzz-") as folder:
            work(Path(folder))
        self.say(f"  {len(self.wrong) - before} wrong, {time.monotonic() - began:.0f} s")

    # The parts

    def stream(self, folder: Path) -> None:
        """Every encoding through the decoders and a lane."""
        every = targets()
        found = list[Told]()
        for number, target in enumerate(every):
            records = self.asked.records * (number + 1) // len(every) - self.asked.records * number // len(every)
            found.append(self._thrown(folder / target.name, target, records))
        self._table(found)
        self._memory(found, self._thrown(folder / "again", every[0], min(found[0].records, AGAIN)))

    def _thrown(self, folder: Path, target: Target, records: int) -> Told:
        """So many records at one target."""
        stream = Stream(folder, target, self.asked.seed)
        told = stream.run_now(stream.waves(records))
        self.wrong += told.wrong
        self.say(f"  {told.target:20} {told.records:>9,} records, {told.per_s:>7,.0f}/s of processor time, {len(told.wrong)} wrong")
        return told

    def _table(self, found: Sequence[Told]) -> None:
        kinds = Counter[str]()
        ends = Counter[tuple[str, str]]()
        for told in found:
            for (label, verdict, reason), count in told.labels.items():
                kinds[label] += count
                ends[verdict, reason] += count
        self.say("  thrown:  " + ", ".join(f"{label} {count:,}" for label, count in kinds.most_common()))
        self.say(
            "  ended:   "
            + ", ".join(f"{verdict}{f' ({reason})' if reason else ''} {count:,}" for (verdict, reason), count in ends.most_common())
        )
        records, untold = sum(kinds.values()), sum(told.untold for told in found)
        self.say(
            f"  {records:,} records, each in one outcome; of {untold:,} ({untold / max(1, records):.1%}) only that can be told by hand"
        )

    def _memory(self, found: Sequence[Told], again: Told) -> None:
        """Flat: the last tenth of the waves at each target against the first, once it is warm; and the first target again at the end.

        Another target's records hold more or less, so like is held against like. Kinds of waves take turns: tenths are whole rounds.
        """
        for told in found:
            waves = told.memory[1:]
            tenth = max(ROUND, len(waves) // 10 // ROUND * ROUND)
            if len(waves) >= 2 * tenth:
                self._flat(told.target, typical(waves[:tenth]), typical(waves[-tenth:]))
        first, last = found[0].memory[1 : len(again.memory)], again.memory[1:]
        if first:
            self._flat(f"{again.target}, again", typical(first), typical(last))

    def _flat(self, name: str, first: Held, last: Held) -> None:
        self.say(f"  memory with {name:27} at first {first}, at last {last}")
        if last.resident_bytes > first.resident_bytes * FLAT + SLACK_BYTES or last.objects > first.objects * FLAT:
            self.wrong.append(f"memory grows with {name}: {first} to {last}")

    def files(self, folder: Path) -> None:
        """Spoilt files of a flow."""
        told = Files(folder, self.asked.seed).run(self.asked.files)
        self.wrong += told.wrong
        ends = Counter[str]()
        for (_, end), count in told.ends.items():
            ends[end] += count
        self.say(f"  {told.files:,} files: {dict(ends)}; slowest {told.slowest_s:.2f} s of processor time")

    def readers(self, folder: Path) -> None:
        """Bytes near what each reader reads."""
        chance, slowest = random.Random(f"readers {self.asked.seed}"), 0.0
        for reader in readers():
            refused, count = 0, max(1, self.asked.readings // (50 if reader.name in ("YAML", "CEL", "bundle") else 1))
            for _ in range(count):
                value, began = spoilt(chance, reader), time.process_time()
                try:
                    refused += reader.refused(value)
                except Exception as error:
                    self.wrong.append(f"{reader.name}: {type(error).__name__}: {error}; {value[:300]!r}")
                slowest = max(slowest, time.process_time() - began)
            self.say(f"  {reader.name:20} {count:>7,} read, {refused:>7,} refused")
        self.say(f"  slowest {slowest:.2f} s of processor time")

    def poison(self, folder: Path) -> None:
        """What poison costs."""
        found = []
        for number, way in enumerate(poison.WAYS):
            for bad in poison.BAD:
                told = poison.cost(folder / f"{number}-{bad}", way, bad, self.asked.poison, self.asked.seed)
                self.wrong += told.wrong
                found.append((way, bad, told))
        for line in poison.table(found):
            self.say(f"  {line}")

    def guided(self, folder: Path) -> None:
        """By coverage, in a process of its own."""
        (folder / "corpus").mkdir()
        argv = [sys.executable, "-m", "tests.fuzz.guided", str(folder / "corpus"), f"-max_total_time={self.asked.guided}"]
        done = subprocess.run(argv, env={"PYTHONPATH": f"{ATHERIS}:."}, capture_output=True, text=True, check=False)
        runs = [line for line in done.stderr.splitlines() if line.startswith("Done ")]
        self.say(f"  {runs[0] if runs else 'no end'}")
        if done.returncode or not runs:
            self.wrong.append(f"guided by coverage: {done.stderr[-3_000:]}")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--records", type=int, default=1_000_000, help="through the decoders and a lane")
    parser.add_argument("--files", type=int, default=3_000, help="spoilt files of a flow")
    parser.add_argument("--readings", type=int, default=50_000, help="by each reader of bytes")
    parser.add_argument("--poison", type=int, default=5, help="batches with each number of bad rows")
    parser.add_argument("--guided", type=int, default=180, help="seconds, guided by coverage")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", nargs="*", default=["stream", "files", "readers", "poison", "guided"], help="parts")
    run = Run(parser.parse_args())
    keep_pandas_out()
    print(f"seed {run.asked.seed}")
    for name in run.asked.only:
        run.part(name, getattr(run, name))
    for line in run.wrong[:SHOWN]:
        print(f"\nwrong: {line}")
    print(f"\n{len(run.wrong)} wrong")
    return 1 if run.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
