"""What tests of upkeep share: the table of what was tried, printed at the end, and a checkout with an awkward path."""

import contextlib
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pytest

from tests.integration.checkout import Checkout, copied

Tried = Callable[[str], AbstractContextManager[None]]


@pytest.fixture(scope="session")
def tried() -> Iterator[Tried]:
    """Says what is tried, how long it took and how it ended; all of it in a table at the end."""
    rows: list[tuple[str, float, str]] = []

    @contextlib.contextmanager
    def trial(what: str) -> Iterator[None]:
        began, ended = time.monotonic(), "FAILED"
        try:
            yield
            ended = "well"
        except pytest.skip.Exception as skipped:
            ended = f"skipped: {skipped.msg}"
            raise
        finally:
            rows.append((what, time.monotonic() - began, ended))
            print(f"\n  {what}: {ended}, {rows[-1][1]:.0f} s", flush=True)

    yield trial
    if rows:
        width = max(len(what) for what, _, _ in rows)
        lines = [f"{what:{width}}  {seconds:7.0f}  {ended}" for what, seconds, ended in rows]
        print("\n".join(["", f"{'what was tried':{width}}  seconds  how it ended", *lines]))


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory, tried: Tried) -> Iterator[Checkout]:
    """A copy of this checkout, set up, under a path with a space and a letter beyond ASCII."""
    with copied(tmp_path_factory.mktemp("upkeep") / "Weft für alle") as checkout:
        with tried("set-up under a path with a space and an umlaut"):
            checkout.run("make", "setup")
        yield checkout
        assert list(checkout.folder.parent.iterdir()) == [checkout.folder]  # nothing was written under a name that somebody misread
