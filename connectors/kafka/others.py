"""The clients that are not librdkafka: Faust's, which hears the control topic, and the one that asks how much disk topics take.

Of the settings that are passed through to librdkafka they hear those that they have too; which they do not, is said by `weft config check`.
"""

import logging
import ssl
from collections.abc import Mapping, Sequence
from typing import Final

Client = Mapping[str, str | int | float | bool]

logging.getLogger("aiokafka.conn").addFilter(lambda record: "sasl_auth_bytes" not in record.getMessage())
"""At DEBUG it says all that it sends, of PLAIN the password."""

CLIENT_ID: Final = "client.id"
TIMES: Final = frozenset(
    {
        "socket.timeout.ms",
        "session.timeout.ms",
        "heartbeat.interval.ms",
        "max.poll.interval.ms",
        "metadata.max.age.ms",
        "connections.max.idle.ms",
    }
)
"""Those that Faust's client has too."""

_CIPHERS: Final = "ssl.cipher.suites"
_REVOKED: Final = "ssl.crl.location"
_HOST: Final = "ssl.endpoint.identification.algorithm"
_BROKER: Final = "enable.ssl.certificate.verification"
_HEARD: Final = TIMES | {CLIENT_ID, _CIPHERS, _REVOKED, _HOST, _BROKER}


def unheard(client: Client) -> Sequence[str]:
    """The settings that librdkafka alone hears."""
    return sorted(name for name in client if name.removeprefix("topic.") not in _HEARD)


def obey(context: ssl.SSLContext, client: Client) -> None:
    """Make a TLS context as librdkafka is told to.

    Raises:
        OSError: the file of what was revoked can't be read; ciphers that there are not.
    """
    if _CIPHERS in client:
        context.set_ciphers(str(client[_CIPHERS]))
    if _REVOKED in client:
        context.load_verify_locations(str(client[_REVOKED]))
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    if client.get(_HOST) == "none":
        context.check_hostname = False
    if str(client.get(_BROKER, True)).lower() in ("false", "0", "f"):  # as librdkafka reads it
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
