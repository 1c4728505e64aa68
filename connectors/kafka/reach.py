"""Whether the cluster answers, said clearly when it does not."""

from collections.abc import Sequence

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from connectors.kafka.settings import LOGGER, KafkaSettings
from schemas.errors import UnreachableError, UsageError


def unreachable(settings: KafkaSettings) -> UnreachableError:
    """What to tell a person."""
    return UnreachableError(
        f"no Kafka broker answers at {settings.bootstrap}", "is it running? `weft up` starts the local stack; `weft status` shows it"
    )


def require(settings: KafkaSettings, topics: Sequence[str] = ()) -> None:
    """Wait for the cluster, and see that these topics exist. Blocks for at most `settings.reach_s`.

    Raises:
        UnreachableError: no broker answers.
        UsageError: a topic is missing.
    """
    try:
        there = AdminClient(settings.admin(), logger=LOGGER).list_topics(timeout=settings.reach_s).topics
    except KafkaException as error:
        raise unreachable(settings) from error
    if missing := [topic for topic in topics if topic not in there]:
        raise UsageError(f"there is no topic {', '.join(missing)} at {settings.bootstrap}", "create it with `weft flow apply`")
