from datetime import UTC, datetime

import pytest

from agent.secrets.patience import MOST_WRITES, Patience
from reconcile.clock import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(datetime(2026, 11, 22, 6, 0, tzinfo=UTC))


def write(patience: Patience, target: str, times: int = 1) -> None:
    for _ in range(times):
        assert 0.0 == patience.wait_for(target)
        patience.wrote(target)


def test_what_was_refused_does_not_count(clock: FakeClock) -> None:
    patience = Patience(clock)
    assert [patience.wait_for("a") for _ in range(3 * MOST_WRITES)] == [0.0] * 3 * MOST_WRITES


def test_one_more_waits_until_the_first_is_a_minute_old(clock: FakeClock) -> None:
    patience = Patience(clock)
    write(patience, "a", MOST_WRITES)
    clock.advance(20)
    assert patience.wait_for("a") == 40.0
    clock.advance(40)
    assert patience.wait_for("a") == 0.0


def test_each_object_has_its_own_limit(clock: FakeClock) -> None:
    patience = Patience(clock)
    write(patience, "a", MOST_WRITES)
    assert patience.wait_for("b") == 0.0


def test_what_was_left_in_peace_is_forgotten(clock: FakeClock) -> None:
    patience = Patience(clock)
    write(patience, "a")
    clock.advance(61)
    write(patience, "b")
    assert set(patience._writes) == {"b"}
