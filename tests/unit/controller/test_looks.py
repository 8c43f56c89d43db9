from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from controller.looks import Looks
from reconcile.clock import FakeRandom


def test_the_first_look_falls_within_the_period() -> None:
    looks = Looks(300, random=FakeRandom(0.5))
    looks.start(["a"], 0)
    assert [looks.due(149), looks.due(150)] == [(), ("a",)]


def test_the_next_look_falls_within_half_a_period_more_or_less() -> None:
    looks = Looks(300, random=FakeRandom(1.0))
    looks.start(["a"], 0)
    assert [looks.due(300), looks.due(749), looks.due(750)] == [("a",), (), ("a",)]


def test_starting_twice_changes_nothing() -> None:
    looks = Looks(300, random=FakeRandom(0.5))
    looks.start(["a"], 0)
    looks.start(["a"], 100)
    assert looks.due(150) == ("a",)


def test_a_dropped_cluster_is_not_looked_at() -> None:
    looks = Looks(300, random=FakeRandom(0.5))
    looks.start(["a"], 0)
    looks.drop(["a", "unknown"])
    assert (looks.due(1000), "a" in looks) == ((), False)


def test_a_cluster_that_comes_back_is_looked_at_once_per_period() -> None:
    looks = Looks(300, random=FakeRandom(0.5))
    looks.start(["a"], 0)
    looks.drop(["a"])
    looks.start(["a"], 10)
    assert [looks.due(150), looks.due(160), looks.due(161)] == [(), ("a",), ()]


@given(places=st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_nobody_waits_longer_than_one_and_a_half_periods(places: list[float]) -> None:
    for place in places:
        looks = Looks(100, random=FakeRandom(place))
        looks.start(["a"], 0)
        seen = [now for now in range(0, 1001, 10) if looks.due(now)]
        assert all(later - earlier <= 160 for earlier, later in zip([0, *seen], seen, strict=False))
