"""The peers' own Python environments: made from the locks beside them, once, in .tools/bench."""

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from schemas.errors import FailedError

ROOT = Path(__file__).parents[2]
LOCKS = Path(__file__).parent / "peers"
FOLDER = ROOT / ".tools" / "bench"
TIMEOUT_S = 300.0


def python_of(peer: str, say: Callable[[str], None], locks: Path = LOCKS, into: Path = FOLDER) -> Path:
    """The Python of a peer's environment, which is made where it is missing or its lock has changed.

    Raises:
        FailedError: it can't be made; why.
    """
    lock, folder = locks / f"{peer}.lock", into / peer
    python, mark = folder / "bin" / "python", folder / "made-of"
    wanted = hashlib.sha256(lock.read_bytes() + sys.version.encode()).hexdigest()
    if not (python.exists() and mark.exists() and mark.read_text() == wanted):
        say(f"making the environment of {peer}")
        _uv("venv", "--clear", "--python", sys.executable, str(folder))
        _uv("pip", "sync", "--only-binary", ":all:", "--python", str(python), "--require-hashes", str(lock))
        mark.write_text(wanted)
    return python


def _uv(*words: str) -> None:
    own = ROOT / ".tools" / "bin" / "uv"
    program = str(own) if own.exists() else shutil.which("uv")
    if program is None:
        raise FailedError("there is no uv to make environments with", "run `make setup`")
    try:
        done = subprocess.run([program, "--quiet", *words], capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise FailedError(f"uv {words[0]} took over {TIMEOUT_S:.0f} s") from error
    if done.returncode:
        said = " ".join(done.stderr.split())
        raise FailedError(f"uv {' '.join(words[:2])} failed: {said[-300:]}")
