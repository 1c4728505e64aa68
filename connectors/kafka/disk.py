"""How much of the brokers' disks each topic takes. Weft's own client has no call for it; Faust's has one for any request."""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Boolean, Int16, Int32, Int64, Schema, String

from connectors.kafka.others import CLIENT_ID
from connectors.kafka.reach import unreachable
from connectors.kafka.settings import KafkaSettings
from schemas.errors import FailedError

logging.getLogger("aiokafka").addHandler(logging.NullHandler())  # what goes wrong is said once, by us

_REFUSED = 31  # CLUSTER_AUTHORIZATION_FAILED


class _AnswerV1(Response):  # type: ignore[misc]
    API_KEY, API_VERSION = 35, 1
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "folders",
            Array(
                ("error_code", Int16),
                ("folder", String("utf-8")),
                (
                    "topics",
                    Array(
                        ("topic", String("utf-8")),
                        ("partitions", Array(("partition", Int32), ("size", Int64), ("offset_lag", Int64), ("is_future", Boolean))),
                    ),
                ),
            ),
        ),
    )


class _AskV1(RequestStruct):  # type: ignore[misc]
    API_KEY, API_VERSION, RESPONSE_TYPE = 35, 1, _AnswerV1
    SCHEMA = Schema(("topics", Array(("topic", String("utf-8")), ("partitions", Array(Int32)))))


class _Ask(Request[_AskV1]):  # type: ignore[misc]
    """DescribeLogDirs: what a broker holds of these partitions."""

    API_KEY = 35

    def __init__(self, partitions: Mapping[str, int]) -> None:
        self._topics = [(topic, list(range(count))) for topic, count in partitions.items()]

    def build(self, request_struct_class: type[_AskV1]) -> _AskV1:
        return request_struct_class(self._topics)


async def bytes_on_disk(settings: KafkaSettings, partitions: Mapping[str, int]) -> Mapping[str, int]:
    """Bytes of each topic's log over all brokers, replicas counted each; `partitions` says how many each topic has.

    Raises:
        UnreachableError: no broker answers.
        FailedError: we may not ask; it takes DESCRIBE on the cluster.
    """
    security = settings.security
    client = AIOKafkaClient(
        bootstrap_servers=settings.bootstrap.split(","),
        client_id=str(settings.client.get(CLIENT_ID, "weft")),
        request_timeout_ms=int(settings.reach_s * 1000),
        security_protocol=security.protocol,
        ssl_context=settings.tls(),
        sasl_mechanism=security.mechanism or "PLAIN",
        sasl_plain_username=security.user or None,
        sasl_plain_password=security.password or None,
    )
    try:
        await client.bootstrap()
        await client.fetch_all_metadata()
        answers = [await client.send(broker.nodeId, _Ask(partitions)) for broker in client.cluster.brokers()]
    except (KafkaError, OSError) as error:
        raise unreachable(settings) from error
    finally:
        await client.close()
    return _added(answers)


def _added(answers: Sequence[_AnswerV1]) -> Mapping[str, int]:
    total = Counter[str]()
    folders = [folder for answer in answers for folder in answer.folders]
    if not folders or any(code == _REFUSED for code, _folder, _topics in folders):
        raise FailedError("the brokers do not tell how much disk topics take", "it needs DESCRIBE on the cluster; see docs/settings.md")
    for _code, _folder, topics in folders:
        for topic, held in topics:
            total[topic] += sum(size for _partition, size, _lag, _future in held)
    return total
