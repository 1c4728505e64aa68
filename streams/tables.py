"""The tables of the settings: Kafka, Redis and the model server, where they are not the local stack's."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator

from connectors.redis.settings import checked_url
from schemas.errors import UsageError

IN_PROCESS = "in-process"
"""Setting the model server to this runs the models in the worker itself: no model server, no Ray."""

Scalar = str | int | float | bool


def server(text: str) -> str:
    """`host:port`, or `[address]:port` for IPv6.

    Raises:
        ValueError: it is something else.
    """
    host, _, port = text.strip().rpartition(":")
    named = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    plain = host if named == host else ""
    wrong = not named or ":" in plain or any(character in named for character in "/@,; \t") or not (port.isascii() and port.isdigit())
    if wrong or not 0 < int(port) < 65536:
        named = "it" if "@" in text else repr(text.strip())  # whoever writes a user there may write a password
        raise ValueError(f"{named} is no address; it looks like host:port, or [::1]:port")
    return f"{host}:{port}"


def servers(text: str) -> str:
    """`host:port`, several separated by commas; none of them empty."""
    return ",".join(server(one) for one in text.split(","))


def _url(text: str) -> str:
    try:
        return checked_url(text)
    except UsageError as error:
        raise ValueError(f"{error.sentence}: {error.hint}") from None


def _model_server(text: str) -> str:
    return text if text == IN_PROCESS else server(text)


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class KafkaTable(_Table):
    """The cluster."""

    bootstrap: Annotated[str, AfterValidator(servers)] | None = Field(
        default=None, description="the bootstrap servers, host:port, separated by commas"
    )
    protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] | None = Field(
        default=None, description="how to connect; else SASL_SSL with a user, SSL with a ca or certificate, PLAINTEXT without"
    )
    mechanism: Literal["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"] = Field(
        default="SCRAM-SHA-512", description="how user and password are shown to the broker"
    )
    user: str | None = Field(default=None, description="the name that the broker's ACLs know")
    password: SecretStr | None = Field(default=None, description="the user's password")
    ca: Path | None = Field(default=None, description="PEM file of who signed the brokers' certificates; else the system's")
    certificate: Path | None = Field(default=None, description="PEM file of the client's own certificate, for mutual TLS")
    key: Path | None = Field(default=None, description="PEM file of that certificate's key")
    key_password: SecretStr | None = Field(default=None, description="what that file is encrypted with")
    client: dict[str, Scalar] = Field(default_factory=dict, repr=False, description="any other setting of librdkafka, by its own name")

    @model_validator(mode="after")
    def _whole(self) -> "KafkaTable":
        if (self.user is None) != (self.password is None):
            raise ValueError("user and password go together")
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key go together")
        if self.user is not None and "SASL" not in self.how:
            raise ValueError(f"protocol {self.how} shows no user to the broker: leave it out, or say SASL_SSL")
        if self.user is None and "SASL" in self.how:
            raise ValueError(f"protocol {self.how} needs user and password")
        if not self.how.endswith("SSL") and (self.ca or self.certificate):
            raise ValueError(f"protocol {self.how} uses no TLS: leave out ca and certificate, or the protocol")
        return self

    @property
    def how(self) -> str:
        """The protocol, said or concluded. A password goes over TLS unless somebody says otherwise."""
        if self.protocol is not None:
            return self.protocol
        if self.user is not None:
            return "SASL_SSL"
        return "SSL" if self.ca or self.certificate else "PLAINTEXT"

    @property
    def elsewhere(self) -> bool:
        """Whether it says what only a cluster of one's own can want."""
        return self.how != "PLAINTEXT"


class RedisTable(_Table):
    """The lookup store."""

    url: Annotated[str, AfterValidator(_url)] | None = Field(
        default=None, repr=False, description="redis://host:port/db, or rediss:// for TLS"
    )
    user: str | None = Field(default=None, description="the user; without one it is `default`")
    password: SecretStr | None = Field(default=None, description="the user's password")
    ca: Path | None = Field(default=None, description="PEM file of who signed the server's certificate; else the system's")
    certificate: Path | None = Field(default=None, description="PEM file of the client's own certificate, for mutual TLS")
    key: Path | None = Field(default=None, description="PEM file of that certificate's key")

    @model_validator(mode="after")
    def _whole(self) -> "RedisTable":
        if self.user is not None and self.password is None:
            raise ValueError("a user needs a password")
        if self.password is not None and "@" in (self.url or ""):
            raise ValueError("the password stands in the url already: leave one of them out")
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key go together")
        if self.url is not None and not self.url.startswith("rediss://") and (self.ca or self.certificate):
            raise ValueError("ca and certificate are for TLS: the url must begin with rediss://")
        return self

    @property
    def elsewhere(self) -> bool:
        """Whether it says what only a server of one's own can want."""
        return any((self.user, self.password, self.ca, self.certificate))


class ServeTable(_Table):
    """The model server."""

    address: Annotated[str, AfterValidator(_model_server)] | None = Field(
        default=None, description="its gRPC address, host:port; `in-process` runs the models in the worker"
    )
    tls: bool = Field(default=False, description="whether it is reached over TLS; a ca says so too")
    ca: Path | None = Field(default=None, description="PEM file of who signed its certificate; else the system's")

    @property
    def elsewhere(self) -> bool:
        """Whether it says what only a server of one's own can want."""
        return self.tls or self.ca is not None
