"""The deadline of a review: the owner of its resume partition appends an expiry, and judges it as any decision when it consumes it."""

from collections.abc import Iterable

from connectors.log import Outgoing, Publisher
from processors.flow.compiled import Flow
from schemas import decision
from schemas.decision import Action, Decision
from schemas.positions import Source
from streams.reviews import Reviews

WHO = "weft"


async def ask_expired(publisher: Publisher, flow: Flow, reviews: Reviews, owned: Iterable[Source], now_ms: int) -> None:
    """Append an expiry for each open review of an owned partition that is past its due time."""
    for source in owned:
        if source.topic != flow.topics.resume:
            continue
        await reviews.read_on(source.partition)
        due = reviews.due(source.partition, now_ms)
        if not due:
            continue
        values = [decision.encode(Decision(review, Action.EXPIRE, WHO, "nobody decided in time", now_ms)) for review in due]
        await publisher.publish(Outgoing(source.topic, [review.encode() for review in due], values, partition=source.partition))
        for review in due:
            reviews.asked(source.partition, review)
