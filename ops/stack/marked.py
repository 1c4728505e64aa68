"""The mark of a data folder: only a folder with it is written to by the local stack, and deleted by `weft down --wipe`."""

from pathlib import Path

from schemas.errors import UsageError

MARK = ".weft-data"
TEXT = "Weft's data folder. `weft down --wipe` deletes it with all that is in it.\n"
ALONE = 0o700

OWN = frozenset({"demo", "downloads", "kafka", "log-key.pem", "ports.json", "ports.lock", "redis", "run", "serve", "stack.lock"})
"""What Weft puts into a data folder."""
FIRST = ("ports.lock", "log-key.pem", "demo/demo.lock", "run/*/supervisor.lock")
"""What it puts there first, whichever command comes first; nobody else's folder has one of these and nothing that is not Weft's."""


def claim(folder: Path) -> None:
    """Make the folder where there is none and mark it as Weft's, closed to other users; a marked one is left as it is.

    Raises:
        UsageError: it holds something that is not Weft's.
        OSError: it can't be made.
    """
    if (folder / MARK).is_file():
        return
    folder.mkdir(mode=ALONE, parents=True, exist_ok=True)
    foreign = _foreign(folder)
    if foreign:
        raise UsageError(
            f"{folder} is not a data folder of Weft: it holds {foreign}.",
            "Name an empty or a new folder with --data, WEFT_DATA or `data` in weft.toml. Nothing was changed.",
        )
    folder.chmod(ALONE)
    (folder / MARK).write_text(TEXT)


def _foreign(folder: Path) -> str:
    """Something in it that Weft has not put there; empty where all is Weft's, or nothing is there."""
    names = sorted(entry.name for entry in folder.iterdir())
    for name in names:
        if name not in OWN:
            return name
    return "" if not names or any(any(folder.glob(first)) for first in FIRST) else names[0]
