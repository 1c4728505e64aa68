"""How to talk to a Redis server: its URL, and what must not stand in it."""

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from schemas.errors import UsageError


@dataclass(frozen=True, slots=True)
class RedisSettings:
    """The URL says host, port, database and whether it is TLS: `rediss://redis:6380/0`. The files are PEM."""

    url: str = field(repr=False)  # a password may stand in it
    user: str = ""
    password: str = field(default="", repr=False)
    ca: str = ""  # else the system's
    certificate: str = ""
    key: str = ""

    def arguments(self) -> dict[str, Any]:
        """What the client is told beside the URL."""
        said = {"username": self.user, "password": self.password}
        tls = {"ssl_ca_certs": self.ca, "ssl_certfile": self.certificate, "ssl_keyfile": self.key}
        return {name: value for name, value in (said | tls).items() if value}

    @property
    def where(self) -> str:
        """Host and port, for a person: without the password."""
        try:
            parts = urlsplit(self.url)
            return f"{parts.hostname}:{parts.port or 6379}" if parts.hostname else parts.path
        except ValueError:
            return "an address that is no URL"


def checked_url(url: str) -> str:
    """The URL, as it is.

    Raises:
        UsageError: it is none of a Redis server, or its query says who we are. It is not repeated: a password may stand in it.
    """
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("redis", "rediss") and parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:
        good = None
    if not good and not url.startswith("unix://"):
        raise UsageError("this is no URL of a Redis server", "it looks like redis://host:6379/0, or rediss://host:6380/0 for TLS")
    if any("password" in name or "username" in name for name, _ in parse_qsl(urlsplit(url).query, keep_blank_values=True)):
        raise UsageError("a user or password stands behind the ? of the URL of Redis", "say redis.user and redis.password_file")
    return url
