"""Becomes a part's process, after writing down who it is. Run as a script by `ops.stack.daemon`, in a session of its own.

So there is no moment at which the process runs and its file is missing, wherever the one who starts it is killed.
"""

import json
import os
import sys
from pathlib import Path

import psutil


def identity() -> dict[str, float]:
    """Who this process is: its pid alone may be another's later."""
    return {"pid": os.getpid(), "created": psutil.Process().create_time()}


def main(parent: int, pid_file: Path, argv: list[str]) -> None:
    """Write the pid file and become argv, unless the parent has gone meanwhile."""
    written = pid_file.with_suffix(".new")
    written.write_text(json.dumps(identity()))
    written.replace(pid_file)
    if os.getppid() == parent:
        os.execvp(argv[0], argv)  # noqa: S606 - becoming the program is the point


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
