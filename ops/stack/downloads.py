"""What Weft keeps for every stack of a user, downloads above all, and how it is deleted."""

import contextlib
import shutil
from pathlib import Path

import psutil

from ops.stack.daemon import MARK
from schemas.errors import UsageError

OWN = ("kafka", "matplotlib")
"""What Weft puts into the cache folder: nothing else in it is touched."""


def users(cache: Path, data: Path) -> list[str]:
    """Programs that run from the downloads, but for those of this data folder; for a person."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            runs = any(str(cache / own) in word for own in OWN for word in process.cmdline())
            if runs and not process.environ().get(MARK, "").startswith(f"{data}/"):
                found.append(f"{process.name()} (process {process.pid})")
    return found


def require_unused(cache: Path, data: Path) -> None:
    """See that nobody but this data folder's stack runs from the downloads.

    Raises:
        UsageError: somebody does.
    """
    if used_by := users(cache, data):
        raise UsageError(f"Another stack runs from the downloads in {cache}: {', '.join(used_by)}.", "End that one, or use --wipe.")


def size_bytes(cache: Path) -> int:
    """How much disk they take."""
    return sum(file.stat().st_size for own in OWN for file in (cache / own).rglob("*") if file.is_file())


def delete(cache: Path) -> None:
    """Delete them, and the folder if nothing else is in it."""
    for own in OWN:
        shutil.rmtree(cache / own, ignore_errors=True)
    with contextlib.suppress(OSError):
        cache.rmdir()
