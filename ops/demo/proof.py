"""The proof at the end: the verification, the fates of the hostile records, one receipt with the keys to check it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ops.audit.find import find
from ops.audit.receipts import last_word, receipt
from ops.audit.report import Progress, Report
from ops.audit.verify import Verification
from ops.daily.desk import Desk
from ops.daily.rows import Row, newest
from ops.daily.shown import headers
from ops.examples.flights import SOURCE
from schemas.errors import FailedError
from schemas.headers import CE_CAUSATION, CE_POSITION
from schemas.positions import Source

LOOKED_AT = 500  # of the newest results of each partition, for one that people would hear of


@dataclass(frozen=True, slots=True)
class Receipted:
    """A decision, and the files that prove it."""

    event: str
    position: str
    decision: str
    file: Path
    keys: Path


async def verified(desk: Desk, progress: Progress) -> Report:
    """Read the topics alone and prove the promise."""
    return await Verification(desk.reader, desk.subject, progress=progress).run()


async def receipted(desk: Desk, folder: Path) -> Receipted:
    """The receipt of one real flight's decision, and the log's verifier keys, as files.

    Raises:
        FailedError: there is no result at all.
    """
    row, told = await _one(desk)
    position = headers(row.headers)[CE_POSITION]
    wanted = last_word(await find(desk.reader, desk.subject, position))
    made = await receipt(desk.reader, desk.subject, wanted)
    file, keys = folder / "receipt.tlog-proof", folder / "log.vkeys"
    file.write_bytes(made.encode())
    keys.write_text("".join(f"{verifier}\n" for origin in await _origins(desk) for verifier in desk.subject.verifiers(origin)))
    return Receipted(wanted.leaf.event_id, position, told, file, keys)


async def _one(desk: Desk) -> tuple[Row, str]:
    """A decision about a real flight: one to notify of, if there is one."""
    topic, other = desk.flow.topics.result, None
    for partition in range(await desk.reader.partitions(topic)):
        for row in reversed(await newest(desk.reader, Source(topic, partition), LOOKED_AT)):
            if row.value is None or headers(row.headers)[CE_CAUSATION].startswith("ZZ-"):
                continue
            decision = str(desk.read_result(row.value).get("decision"))
            other = other or (row, decision)
            if decision == "notify":
                return row, decision
    if other is None:
        raise FailedError(f"There is no decision about a flight of {SOURCE} on {topic}.")
    return other


async def _origins(desk: Desk) -> Sequence[str]:
    topics = desk.subject.topics.consumed
    return [desk.subject.origin(Source(topic, number)) for topic in topics for number in range(await desk.reader.partitions(topic))]
