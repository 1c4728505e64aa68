"""Stands beside a demo in a session of its own, and ends the demo's stack and workers where the demo can't: when it is killed."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from ops.demo.place import Place, alone
from schemas.errors import UsageError
from streams.settings import Settings

DONE = b"done"


@contextlib.contextmanager
def beside(place: Place) -> Iterator[None]:
    """As long as this lasts somebody stands by. Where it ends in order, what runs then is left alone."""
    argv, quiet = [sys.executable, "-m", "ops.demo.after"], subprocess.DEVNULL
    with subprocess.Popen(argv, bufsize=0, stdin=subprocess.PIPE, stdout=quiet, stderr=quiet, start_new_session=True) as other:
        _tell(other, f"{place.settings.data_folder}\n".encode())  # not among its arguments: it is none of what a demo may leave
        yield
        _tell(other, DONE)


def _tell(other: "subprocess.Popen[bytes]", word: bytes) -> None:
    with contextlib.suppress(OSError):  # somebody killed it: then the next demo clears
        if other.stdin is not None:
            other.stdin.write(word)


def main() -> None:
    """Wait for the demo's last word. If none comes, end what runs; the data stay, to find out what went wrong."""
    data = Path(sys.stdin.buffer.readline().decode().removesuffix("\n"))
    if sys.stdin.buffer.read() == DONE:
        return
    place = Place(Settings(data=data), data.parent)
    with contextlib.suppress(UsageError), alone(place, clearing=True):  # where the next demo has begun, that one clears
        place.end()


if __name__ == "__main__":
    main()
