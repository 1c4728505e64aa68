"""The project with the schema registry that the settings name, if they name one."""

from functools import lru_cache

from connectors.registry.client import HttpRegistry
from processors.flow.project import FolderProject
from schemas.errors import UsageError
from streams.settings import Settings


def registry_of(settings: Settings) -> HttpRegistry | None:
    """The registry by URL; None where its ids are files.

    Raises:
        UsageError: the URL is none.
    """
    if settings.registry is None:
        return None
    auth = settings.registry_auth
    return _made(settings.registry, auth.get_secret_value() if auth is not None else None)


@lru_cache(maxsize=4)
def _made(url: str, auth: str | None) -> HttpRegistry:
    """One for all versions of a flow in a process: they share what was seen."""
    return HttpRegistry(url, auth)


def required(settings: Settings) -> HttpRegistry:
    """The registry by URL.

    Raises:
        UsageError: none is named, or the URL is none.
    """
    found = registry_of(settings)
    if found is None:
        raise UsageError("no schema registry is named", "Set WEFT_REGISTRY to its URL, or `registry` in weft.toml.")
    return found


def project_of(settings: Settings) -> FolderProject:
    """The project folder's files; schema ids that no file has are asked of the registry."""
    return FolderProject(settings.project_folder, registry_of(settings))
