"""The breaker opens after failures in a row, lets one call try after a pause, and closes when it is answered."""

import pytest

from serving.breaker import Breaker, Circuit


class Clock:
    """A clock that stands still until it is told."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def fail(breaker: Breaker, times: int) -> None:
    for _ in range(times):
        assert breaker.admit()
        breaker.failed()


def test_it_opens_only_after_failures_in_a_row(clock: Clock) -> None:
    breaker = Breaker(clock, failures=3)
    fail(breaker, 2)
    breaker.succeeded()
    fail(breaker, 2)
    assert breaker.admit()
    breaker.failed()
    assert breaker.circuit is Circuit.OPEN
    assert not breaker.admit()


def test_after_the_pause_one_call_tries_and_others_wait(clock: Clock) -> None:
    breaker = Breaker(clock, failures=1, pause_s=1.0)
    fail(breaker, 1)
    clock.now += 0.9
    assert not breaker.admit()
    clock.now += 0.2
    assert breaker.admit()
    assert breaker.circuit is Circuit.HALF_OPEN
    assert not breaker.admit()


def test_a_try_that_is_answered_closes_it(clock: Clock) -> None:
    breaker = Breaker(clock, failures=1, pause_s=1.0)
    fail(breaker, 1)
    clock.now += 2
    assert breaker.admit()
    breaker.succeeded()
    assert breaker.circuit is Circuit.CLOSED
    assert breaker.admit()


def test_a_try_that_fails_opens_it_for_another_pause(clock: Clock) -> None:
    breaker = Breaker(clock, failures=5, pause_s=1.0)
    fail(breaker, 5)
    clock.now += 2
    fail(breaker, 1)
    assert breaker.circuit is Circuit.OPEN
    assert not breaker.admit()
    clock.now += 1.1
    assert breaker.admit()


def test_a_try_that_its_caller_gives_up_lets_the_next_one_try(clock: Clock) -> None:
    breaker = Breaker(clock, failures=1, pause_s=1.0)
    fail(breaker, 1)
    clock.now += 2
    assert breaker.admit()
    breaker.released()
    assert breaker.admit()
