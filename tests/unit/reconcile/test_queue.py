from __future__ import annotations

import threading
from datetime import UTC, datetime

import pytest

from reconcile.clock import FakeClock, FakeRandom, SystemClock
from reconcile.queue import Backoff, Queue


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(datetime(2026, 11, 22, tzinfo=UTC))


@pytest.fixture
def queue(clock: FakeClock) -> Queue[str]:
    return Queue(clock=clock, random=FakeRandom())


def fail(queue: Queue[str], clock: FakeClock, key: str) -> None:
    """Runs `key` once, badly, and lets its back-off pass: it waits in the failing lane."""
    queue.add(key)
    assert key == queue.get(failing=queue.failures(key) > 0)
    queue.add_rate_limited(key)
    queue.done(key)
    clock.advance(1000)


def test_a_key_added_twice_runs_once(queue: Queue[str]) -> None:
    queue.add("a")
    queue.add("a")
    queue.add("b")
    assert (queue.get(), queue.get(), queue.depth()) == ("a", "b", (0, 0))


def test_a_key_added_during_its_run_runs_again_afterwards(queue: Queue[str]) -> None:
    queue.add("a")
    queue.get()
    queue.add("a")
    during = queue.depth()
    queue.done("a")
    assert (during, queue.get()) == ((0, 0), "a")


def test_a_delayed_key_waits_for_its_time(queue: Queue[str], clock: FakeClock) -> None:
    queue.add_after("a", 10)
    depths = [queue.depth()]
    clock.advance(9.9)
    depths.append(queue.depth())
    clock.advance(0.1)
    depths.append(queue.depth())
    assert depths == [(0, 0), (0, 0), (1, 0)]


def test_the_earliest_of_several_times_stands(queue: Queue[str], clock: FakeClock) -> None:
    queue.add_after("a", 10)
    queue.add_after("a", 5)
    queue.add_after("a", 20)
    clock.advance(5)
    assert queue.get() == "a"
    queue.done("a")
    clock.advance(100)
    assert queue.depth() == (0, 0)


def test_an_add_brings_a_delayed_key_forward(queue: Queue[str], clock: FakeClock) -> None:
    queue.add_after("a", 10)
    queue.add("a")
    assert queue.get() == "a"
    queue.done("a")
    clock.advance(100)
    assert queue.depth() == (0, 0)


def test_no_delay_is_now(queue: Queue[str]) -> None:
    queue.add_after("a", 0)
    assert queue.depth() == (1, 0)


def test_a_delay_never_holds_up_a_key_that_is_ready(queue: Queue[str]) -> None:
    queue.add("a")
    queue.add_after("a", 10)
    assert queue.depth() == (1, 0)


def test_failures_count_until_forgotten(queue: Queue[str]) -> None:
    queue.add_rate_limited("a")
    queue.add_rate_limited("a")
    counted = queue.failures("a")
    queue.forget("a")
    assert (counted, queue.failures("a")) == (2, 0)


def test_a_failed_key_waits_out_its_backoff_in_the_failing_lane(queue: Queue[str], clock: FakeClock) -> None:
    queue.add_rate_limited("a")
    early = queue.depth()
    clock.advance(1)
    assert (early, queue.depth()) == ((0, 0), (0, 1))


def test_a_failed_key_waits_at_least_as_long_as_it_was_asked(queue: Queue[str], clock: FakeClock) -> None:
    queue.add_rate_limited("a", at_least=30)
    clock.advance(29)
    early = queue.depth()
    clock.advance(1)
    assert (early, queue.depth()) == ((0, 0), (0, 1))


def test_a_change_to_a_failing_key_runs_at_once_but_in_the_failing_lane(
    queue: Queue[str], clock: FakeClock
) -> None:
    fail(queue, clock, "a")
    assert queue.get(failing=True) == "a"
    queue.add_rate_limited("a")
    queue.done("a")
    queue.add("a")
    assert queue.depth() == (0, 1)


def test_a_forgotten_key_goes_back_to_the_healthy_lane(queue: Queue[str], clock: FakeClock) -> None:
    fail(queue, clock, "a")
    queue.depth()
    queue.forget("a")
    assert queue.depth() == (1, 0)


def test_failing_keys_never_delay_healthy_ones(queue: Queue[str], clock: FakeClock) -> None:
    for number in range(50):
        fail(queue, clock, f"dead-{number}")
    queue.add("healthy")
    assert (queue.get(), queue.depth()) == ("healthy", (0, 50))


def test_a_discarded_key_is_gone(queue: Queue[str], clock: FakeClock) -> None:
    queue.add("ready")
    queue.add_rate_limited("later")
    queue.discard("ready")
    queue.discard("later")
    clock.advance(1000)
    assert (queue.depth(), queue.failures("later")) == ((0, 0), 0)


def test_what_a_discarded_run_asks_for_is_not_heard(queue: Queue[str], clock: FakeClock) -> None:
    queue.add("a")
    queue.get()
    queue.discard("a")
    queue.add_rate_limited("a")
    queue.add_after("a", 1)
    queue.done("a")
    clock.advance(1000)
    assert queue.depth() == (0, 0)


def test_a_discarded_key_that_is_added_again_comes_back(queue: Queue[str]) -> None:
    queue.add("a")
    queue.get()
    queue.discard("a")
    queue.add("a")
    queue.done("a")
    assert queue.depth() == (1, 0)


def test_a_closed_queue_hands_out_nothing(queue: Queue[str]) -> None:
    queue.add("a")
    queue.close()
    assert None is queue.get()


def test_closing_wakes_every_waiter(queue: Queue[str], clock: FakeClock) -> None:
    got: list[str | None] = []
    threads = [
        threading.Thread(target=lambda failing=failing: got.append(queue.get(failing=failing)))
        for failing in (False, True, False)
    ]
    for thread in threads:
        thread.start()
    clock.until_waiting(3)
    queue.close()
    for thread in threads:
        thread.join()
    assert got == [None, None, None]


def test_a_delay_set_while_everybody_waits_wakes_one_in_time(queue: Queue[str], clock: FakeClock) -> None:
    got: list[str | None] = []
    thread = threading.Thread(target=lambda: got.append(queue.get()))
    thread.start()
    clock.until_waiting(1)
    queue.add_after("late", 60)
    queue.add_after("early", 5)
    clock.until_waiting(1)
    clock.advance(5)
    thread.join()
    assert got == ["early"]


@pytest.mark.parametrize(
    ("failures", "seconds"), [(0, 1.0), (1, 2.0), (4, 16.0), (9, 300.0), (10_000, 300.0)]
)
def test_backoff_doubles_up_to_its_maximum(failures: int, seconds: float) -> None:
    assert seconds == Backoff().delay(failures, FakeRandom())


def test_backoff_is_spread_by_its_jitter() -> None:
    assert (
        Backoff(base=10).delay(0, FakeRandom(0.0)),
        Backoff(base=10).delay(0, FakeRandom(1.0)),
    ) == (8.0, 12.0)


def test_a_failing_key_that_is_restarted_runs_at_once_among_the_failing(
    queue: Queue[str], clock: FakeClock
) -> None:
    for _ in range(6):
        fail(queue, clock, "a")
    queue.get(failing=True)
    queue.add_rate_limited("a")  # for a minute
    queue.done("a")
    queue.restart("a")
    assert ((0, 1), 1) == (queue.depth(), queue.failures("a"))


def test_a_restarted_key_backs_off_from_the_beginning(queue: Queue[str], clock: FakeClock) -> None:
    for _ in range(6):
        fail(queue, clock, "a")
    queue.restart("a")
    queue.get(failing=True)
    queue.add_rate_limited("a")
    queue.done("a")
    clock.advance(2.0)
    assert (0, 1) == queue.depth()


def test_a_healthy_key_that_is_restarted_stays_healthy(queue: Queue[str]) -> None:
    queue.restart("a")
    assert ((1, 0), 0) == (queue.depth(), queue.failures("a"))


def test_a_key_that_is_due_in_ages_costs_no_worker() -> None:
    queue: Queue[str] = Queue(clock=SystemClock(), random=FakeRandom())
    queue.add_after("a", 1e300)  # longer than a lock can wait
    found: list[str | None] = []
    worker = threading.Thread(target=lambda: found.append(queue.get()))
    worker.start()
    queue.add("b")
    worker.join()
    assert ["b"] == found
