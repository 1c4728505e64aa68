"""Signs what no worker signed: the committed heads that stand behind the last checkpoint of each tree."""

from connectors.log import Publisher
from ops.audit.verify import Verification
from schemas.errors import NotProvenError
from streams.ledger.key import LogKey
from streams.ledger.signer import Signer
from streams.ledger.tree import Tree

FOREVER_MS = 1 << 62  # here an unsigned tail is no finding, however old


async def sign_tails(run: Verification, publisher: Publisher, key: LogKey) -> list[Tree]:
    """Verify, then sign each tree whose end is not signed. What read_committed delivers is committed, so it may be signed.

    Raises:
        NotProvenError: the ledger is not whole or disagrees with a signed head: nothing is signed.
    """
    run.grace_ms = FOREVER_MS
    report = await run.run()
    if not report.proven:
        raise NotProvenError(f"Nothing was signed: {report.findings[0][1]}", "weft audit verify says what else is wrong.")
    signer = Signer(publisher, run.subject.topics.checkpoints, key, run.clock)
    signed = []
    for growth in run.growths.values():
        if growth.size > growth.heads.largest:
            tree = Tree(growth.origin, growth.source, growth.topic_id, growth.size, growth.frontier, growth.last_block)
            signer.committed(tree)
            signed.append(tree)
    if not await signer.flush():
        raise NotProvenError(f"The heads could not be published: {signer.fault}")
    return signed
