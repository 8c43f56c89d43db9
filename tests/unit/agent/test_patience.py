from datetime import UTC, datetime

import pytest

from agent.secrets.patience import MOST_WRITES, Patience
from reconcile.clock import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(datetime(2026, 11, 22, 6, 0, tzinfo=UTC))


def test_a_few_repairs_are_made_at_once(clock: FakeClock) -> None:
    patience = Patience(clock)
    assert [patience.wait_for("a") for _ in range(MOST_WRITES)] == [0.0] * MOST_WRITES


def test_one_more_waits_until_the_first_is_a_minute_old(clock: FakeClock) -> None:
    patience = Patience(clock)
    for _ in range(MOST_WRITES):
        patience.wait_for("a")
    clock.advance(20)
    assert patience.wait_for("a") == 40.0
    clock.advance(40)
    assert patience.wait_for("a") == 0.0


def test_each_object_has_its_own_limit(clock: FakeClock) -> None:
    patience = Patience(clock)
    for _ in range(MOST_WRITES):
        patience.wait_for("a")
    assert patience.wait_for("b") == 0.0


def test_what_was_left_in_peace_is_forgotten(clock: FakeClock) -> None:
    patience = Patience(clock)
    patience.wait_for("a")
    clock.advance(61)
    patience.wait_for("b")
    assert set(patience._writes) == {"b"}
