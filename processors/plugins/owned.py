"""Who else could have written a file that is about to be trusted: code, or settings that name programs and addresses."""

import os
import stat
from pathlib import Path


def strange(path: Path) -> str:
    """Why somebody else could have written it, as the end of a sentence; empty if only its owner can, who is the user or root.

    The user's own group may write, since many systems give each user one, and git then makes files that it may write.
    """
    link, found = path.lstat(), path.stat()
    if {link.st_uid, found.st_uid} - {0, os.getuid()}:
        return f"{path} belongs to somebody else"
    others = found.st_mode & stat.S_IWOTH or (found.st_mode & stat.S_IWGRP and found.st_gid not in (0, os.getgid()))
    return f"others than you may write {path}" if others else ""


def mend(path: Path) -> str:
    """What to do about it, for a person who trusts what it says."""
    if {path.lstat().st_uid, path.stat().st_uid} - {0, os.getuid()}:
        return f"Read it; if it may be trusted, make it yours: sudo chown $USER {path}"
    return f"Read it; if it may be trusted: chmod go-w {path}"
