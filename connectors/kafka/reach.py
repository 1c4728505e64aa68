"""Whether the cluster answers, said clearly when it does not: nobody there is one thing, who does not let us in another."""

import socket
import time
from collections.abc import Sequence
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from connectors.kafka.settings import LOGGER, KafkaSettings
from schemas.errors import UnreachableError, UsageError

_REFUSED_S = 0.4  # for so long every address has to refuse, so that a broker that restarts in that moment is not called away
_AGAIN_S = 0.1
_CONNECT_S = 0.3  # an address that says nothing for so long is the client's to wait for
_PORT = 9092  # the client's own default
_TOLD_S = 2.0  # how long a broker may take to say that it does not let us in
_REFUSALS = (KafkaError._AUTHENTICATION, KafkaError._SSL, KafkaError.SASL_AUTHENTICATION_FAILED)


def unreachable(settings: KafkaSettings) -> UnreachableError:
    """What to tell a person. Where TLS or a user is asked for, the cluster is tried once more, to hear why it says nothing."""
    why = heard(settings, _TOLD_S, _REFUSALS) if settings.security.protocol != "PLAINTEXT" else ""
    if why:
        hint = "see kafka.user, kafka.password and kafka.ca: `weft config show`; `weft config check --reach` tries them"
        return UnreachableError(f"Kafka at {settings.bootstrap} does not let us in: {why}", hint)
    return _nobody(settings)


def _nobody(settings: KafkaSettings) -> UnreachableError:
    return UnreachableError(
        f"no Kafka broker answers at {settings.bootstrap}", "is it running? `weft up` starts the local stack; `weft status` shows it"
    )


def look(settings: KafkaSettings, within_s: float = _REFUSED_S) -> None:
    """See that somebody listens, for a person who waits: the client itself would go on trying a port that refuses for all of `reach_s`.

    Whether it is a broker, and whether it answers, is the client's to find out.

    Raises:
        UnreachableError: each address refuses, or is none, for all of `within_s`.
    """
    until_s = time.monotonic() + within_s
    addresses = [_address(one.strip()) for one in settings.bootstrap.split(",")]
    while all(_refuses(address) for address in addresses):
        if time.monotonic() > until_s:
            raise _nobody(settings)
        time.sleep(_AGAIN_S)


def _address(told: str) -> tuple[str, int]:
    """Host and port as the client reads them: `host`, `host:port`, `[::1]:port`, each behind `protocol://` or not."""
    host, _, port = told.rpartition("://")[2].rpartition(":")
    return (host.strip("[]"), int(port)) if host and port.isdecimal() else (told.rpartition("://")[2].strip("[]"), _PORT)


def _refuses(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address, timeout=_CONNECT_S).close()
    except TimeoutError:
        return False
    except (OSError, OverflowError, UnicodeError):  # refused, no way there, no such host or port
        return True
    return False


def heard(settings: KafkaSettings, within_s: float, codes: Sequence[int] = ()) -> str:
    """What the client's connections fail with, in its words; with `codes` only such errors count. Nothing where all is well or silent."""
    errors: list[KafkaError] = []
    conf: dict[str, Any] = {**settings.admin(), "error_cb": errors.append}
    admin = AdminClient(conf, logger=LOGGER)
    until_s = time.monotonic() + within_s
    while time.monotonic() < until_s:
        admin.poll(0.05)
        for error in errors:
            if error.code() in codes or (not codes and error.code() != KafkaError._ALL_BROKERS_DOWN):
                return _plain(error.str() or "")
    return ""


def _plain(said: str) -> str:
    """Without the client's own marks: `sasl_ssl://host:9093/bootstrap: ` before it, `(after 5ms in state ...)` behind."""
    return said.rpartition("bootstrap: ")[2].partition(" (after ")[0].strip()


def require(settings: KafkaSettings, topics: Sequence[str] = ()) -> None:
    """Wait for the cluster, and see that these topics exist. Blocks for at most `settings.reach_s`, and a moment.

    Raises:
        UnreachableError: no broker answers, or none lets us in.
        UsageError: a topic is missing.
    """
    try:
        there = AdminClient(settings.admin(), logger=LOGGER).list_topics(timeout=settings.reach_s).topics
    except KafkaException as error:
        raise unreachable(settings) from error
    if missing := [topic for topic in topics if topic not in there]:
        raise UsageError(f"there is no topic {', '.join(missing)} at {settings.bootstrap}", "create it with `weft flow apply`")
