"""Makes receipts: the leaf of a decision, its path in the tree, and a signed head that covers it."""

from connectors.log import Reader
from ops.audit.find import Pass, blocks
from ops.audit.report import Report
from ops.audit.signed import Signed
from ops.audit.subject import Subject
from schemas.errors import NotProvenError
from schemas.positions import Source
from schemas.vocabulary import Verdict
from streams.ledger import checkpoint, merkle
from streams.ledger.receipt import Receipt

_VERIFY = "weft audit verify says what is wrong."


def last_word(passes: list[Pass]) -> Pass:
    """Of an event's passes the one that counts: its newest terminal one, else its newest that is not void."""
    live = [one for one in passes if not Verdict(one.leaf.verdict).void] or passes
    return max(live, key=lambda one: (one.leaf.generation, one.leaf.number))


async def receipt(reader: Reader, subject: Subject, wanted: Pass) -> Receipt:
    """The receipt of one pass, under the smallest signed head that covers it.

    Raises:
        NotProvenError: no signed head covers it yet, or the ledger is not whole.
    """
    size, note = await _covering(reader, subject, wanted)
    climb = merkle.Climb(wanted.index)
    async for place, _, block in blocks(reader, Source(subject.topics.ledger, wanted.block.partition)):
        if block.origin != wanted.origin or block.new_size == block.old_size:
            continue
        if climb.size == 0 < block.old_size and block.new_size <= wanted.index:  # retention took what was before: its frontier is enough
            climb = merkle.Climb(wanted.index, block.new_size, block.frontier)
            continue
        if block.old_size != climb.size:
            raise NotProvenError(f"The ledger of {wanted.origin} is not whole before {place}: the path can't be built.", _VERIFY)
        climb.append(merkle.leaf_hashes(block.leaves()[: size - climb.size]))
        if climb.size == size:
            break
    made = Receipt(wanted.raw, wanted.index, tuple(climb.path()), note)
    try:
        made.verify(subject.verifiers(wanted.origin))
    except ValueError as error:
        raise NotProvenError(f"The ledger does not prove this decision: {error}.", _VERIFY) from error
    return made


async def _covering(reader: Reader, subject: Subject, wanted: Pass) -> tuple[int, bytes]:
    """The size and checkpoint of the smallest signed head that covers the leaf."""
    signed = Signed(subject, Report())
    await signed.read(reader)
    heads = signed.heads[wanted.origin].due
    size = min((size for size in heads if size > wanted.index), default=0)
    if not size:
        hint = f"Wait a second; if no worker runs: weft audit sign {subject.flow}"
        raise NotProvenError("The decision is in the ledger, and no signed head covers it yet.", hint)
    head = checkpoint.Head(wanted.origin, size, heads[size])
    return size, await _note(reader, subject, head)


async def _note(reader: Reader, subject: Subject, wanted: checkpoint.Head) -> bytes:
    """The checkpoint that says this head, as it was published (a witness may have signed it too)."""
    for partition in range(await reader.partitions(subject.topics.checkpoints)):
        async for records in reader.read(Source(subject.topics.checkpoints, partition)):
            for value in records.values:
                if value is not None and value.startswith(wanted.text.encode()):
                    return value
    raise NotProvenError(f"The head of size {wanted.size} of {wanted.origin} is not on its topic any more.")
