"""What tests share: the real stack, started once and only when a test asks for it, and a proxy before its broker."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

from tests.serving import Served, running_serve
from tests.stack import Proxy, TestStack, running_stack

FOLDER = Path(__file__).parent
ORDER = ("architecture", "unit", "simulation", "cli", "contract", "chaos", "integration")
"""Folders of tests, the quick ones first: what is plainly wrong is told within a minute."""
SERVED = {"tests/contract/test_models.py", "tests/integration/test_serving.py", "tests/integration/test_faults.py"}
"""Files whose tests ask the model server."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Quick folders first, each in its own order; a folder without a place comes last."""
    places = {name: place for place, name in enumerate(ORDER)}
    items.sort(key=lambda item: places.get(item.path.relative_to(FOLDER).parts[0], len(ORDER)))


class ByFile(LoadFileScheduling):  # type: ignore[misc]  # it has no types
    """Of two processes: a file's tests stay in one, and so do all files that ask the model server, whose start takes a minute."""

    def _split_scope(self, nodeid: str) -> str:
        file = str(super()._split_scope(nodeid))
        return "served" if file in SERVED else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByFile:
    """Ours, whatever --dist says."""
    return ByFile(config, log)


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
