"""A mount namespace of its own for a run, with small file systems in it that can be filled up; they are gone when the run has ended."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

DISKS = {"broker": "900m", "workers": "192m"}
INSIDE = "CHAOS_DISKS"  # the folder of the disks, set for who runs inside


def inside() -> Path | None:
    """The folder with the disks; None outside."""
    found = os.environ.get(INSIDE)
    return Path(found) if found else None


def why_not() -> str:
    """Why there can be none here; empty where there can."""
    if shutil.which("unshare") is None:
        return "there is no program unshare"
    tried = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", "mount -t tmpfs -o size=1m none /tmp"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return tried.stderr.strip()


def run_inside(module: str, arguments: Sequence[str]) -> int:
    """Run the module in a namespace with the disks mounted; its exit code."""
    folder = Path(tempfile.mkdtemp(prefix="weft-disks-")).resolve()
    try:
        mounts = []
        for name, size in DISKS.items():
            (folder / name).mkdir()
            mounts.append(f"mount -t tmpfs -o size={size},mode=0700 chaos-{name} {folder / name}")
        script = " && ".join([*mounts, 'exec "$@"'])
        argv = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", sys.executable, "-m", module, *arguments]
        with subprocess.Popen(argv, env={**os.environ, INSIDE: str(folder)}) as run:
            signal.signal(signal.SIGTERM, lambda *_: run.terminate())  # it ends what it has started
            return run.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
