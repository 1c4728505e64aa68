"""Coverage-guided fuzzing of decoders and readers with Atheris (libFuzzer), which `make fuzz` installs beside Weft, not with it.

`python -m tests.fuzz.guided FOLDER [libFuzzer's options]`: the first byte of an input says who reads the rest. What breaks a reader is
left in FOLDER by libFuzzer, and ends the process.
"""

import sys
from pathlib import Path

import atheris  # type: ignore[import-untyped]

with atheris.instrument_imports(include=["schemas", "processors", "streams", "connectors", "fastavro", "yaml"]):
    from schemas.codecs.decoder import Decoder
    from schemas.codecs.encodings import decoder
    from schemas.codecs.registry import MemoryRegistry
    from schemas.contracts import Contract, Contracts
    from tests.fuzz.encodings import IDS, Target, targets
    from tests.fuzz.readers import Reader, readers
    from tests.fuzz.thrown import thrower

import random


def decoders() -> list[tuple[Decoder, Target]]:
    """The decoder of each target."""
    known = Contracts({}, {one.fingerprint: one for one in map(Contract.of, IDS.values())})
    registry = MemoryRegistry({number: Contract.of(schema) for number, schema in IDS.items()})
    return [(decoder(Contract.of(target.schema), target.encoding, known, registry), target) for target in targets()]


def expected(target: Target, value: bytes, bad: bool) -> None:
    """Where the value itself is Avro, the reader by hand must say the same."""
    if target.avro is not None:
        ending = target.avro.judged(value)
        assert bad == (ending.verdict == "dead-letter" and "invalid" not in ending.reasons), (target.name, value, ending)


def corpus(folder: Path, every: list[Reader], found: list[tuple[Decoder, Target]]) -> None:
    """Good examples, to begin with."""
    chance = random.Random(0)
    for at, reader in enumerate(every):
        for number, seed in enumerate(seed for seed in reader.seeds if len(seed) < 4_000):
            (folder / f"{at}-{number}").write_bytes(bytes([at]) + seed)
    for at, (_, target) in enumerate(found, len(every)):
        for number in range(40):
            (folder / f"{at}-{number}").write_bytes(bytes([at]) + (thrower(target.kinds)(chance).value or b""))


def main() -> None:
    """Never returns."""
    folder, every, found = Path(sys.argv[1]), readers(), decoders()
    corpus(folder, every, found)

    def one(data: bytes) -> None:
        if not data:
            return
        at, value = data[0] % (len(every) + len(found)), data[1:]
        if at < len(every):
            every[at].refused(value)
            return
        reads, target = found[at - len(every)]
        decoded = reads.decode([value])
        assert len(decoded.good) + len(decoded.bad) == 1
        expected(target, value, bool(decoded.bad))

    atheris.Setup(
        [
            sys.argv[0],
            str(folder),
            f"-artifact_prefix={folder.parent}/",
            "-timeout=10",
            "-max_len=4096",
            "-rss_limit_mb=3000",
            *sys.argv[2:],
        ],
        one,
    )
    atheris.Fuzz()


if __name__ == "__main__":
    main()
