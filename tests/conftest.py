"""What tests share: the real stack, started once and only when a test asks for it, and a proxy before its broker."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serving import Served, running_serve
from tests.stack import Proxy, TestStack, running_stack

FOLDER = Path(__file__).parent
ORDER = ("architecture", "unit", "simulation", "cli", "contract", "chaos", "integration")
"""Folders of tests, the quick ones first: what is plainly wrong is told within a minute."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Quick folders first, each in its own order; a folder without a place comes last.

    What must stay in one process of pytest-xdist: a file's tests, and all that ask the model server, whose start takes a minute.
    """
    places = {name: place for place, name in enumerate(ORDER)}
    items.sort(key=lambda item: places.get(item.path.relative_to(FOLDER).parts[0], len(ORDER)))
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            asks = "served" in getattr(item, "fixturenames", ())
            item.add_marker(pytest.mark.xdist_group("served" if asks else item.path.relative_to(FOLDER).as_posix()))


@pytest.fixture(autouse=True)
def _no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands print as into a pipe: a process of pytest-xdist has the width of a terminal in its environment."""
    monkeypatch.delenv("COLUMNS", raising=False)


@pytest.fixture(scope="session")
def stack() -> Iterator[TestStack]:
    """The real Kafka and Valkey of this session. Topics and keys get random names, since all tests share them."""
    with running_stack("kafka", "redis") as running:
        yield running


@pytest.fixture(scope="session")
def served() -> Iterator[Served]:
    """The real model server of this session."""
    with running_serve() as running:
        yield running


@pytest.fixture
def proxy(stack: TestStack) -> Iterator[Proxy]:
    """Stands between clients of `stack.second_bootstrap` and the broker, and can cut, freeze and heal."""
    between = Proxy(stack.second_bootstrap, stack.second)
    yield between
    between.cut()
