from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

from reconcile.clock import FakeClock, FakeRandom, SystemClock, SystemRandom

START = datetime(2026, 11, 22, tzinfo=UTC)


def test_the_fake_clock_stands_still_until_told() -> None:
    clock = FakeClock(START)
    before = (clock.now(), clock.monotonic())
    clock.advance(90)
    assert ((START, 0.0), (START + timedelta(seconds=90), 90.0)) == (before, (clock.now(), clock.monotonic()))


def test_an_advance_wakes_who_waits() -> None:
    clock = FakeClock(START)
    condition = threading.Condition()
    woken: list[float] = []

    def wait() -> None:
        with condition:
            while clock.monotonic() < 30:
                clock.wait(condition, 30 - clock.monotonic())
            woken.append(clock.monotonic())

    thread = threading.Thread(target=wait)
    thread.start()
    clock.until_waiting(1)
    clock.advance(10)
    clock.until_waiting(1)
    clock.advance(20)
    thread.join()
    assert woken == [30.0]


def test_a_wait_reckoned_before_an_advance_returns_at_once() -> None:
    clock = FakeClock(START)
    condition = threading.Condition()
    with condition:
        timeout = 10 - clock.monotonic()
        clock.advance(10)
        clock.wait(condition, timeout)  # would hang for ever
    assert clock.monotonic() == 10.0


def test_a_notify_ends_a_wait_on_the_fake_clock() -> None:
    clock = FakeClock(START)
    condition = threading.Condition()
    done = threading.Event()

    def wait() -> None:
        with condition:
            clock.wait(condition, None)
        done.set()

    thread = threading.Thread(target=wait)
    thread.start()
    clock.until_waiting(1)
    with condition:
        condition.notify()
    thread.join()
    assert done.is_set()


def test_no_time_left_is_no_wait() -> None:
    condition = threading.Condition()
    with condition:
        FakeClock(START).wait(condition, 0)


def test_the_system_clock_is_in_utc_and_never_goes_back() -> None:
    clock = SystemClock()
    first = clock.monotonic()
    assert clock.now().tzinfo is UTC
    assert clock.monotonic() >= first


def test_the_system_clock_waits_on_a_condition() -> None:
    condition = threading.Condition()
    with condition:
        SystemClock().wait(condition, 0.001)


def test_chance_stays_between_its_bounds() -> None:
    assert all(1 <= SystemRandom().uniform(1, 2) <= 2 for _ in range(20))


def test_fake_chance_is_the_place_it_was_told() -> None:
    assert (FakeRandom().uniform(10, 20), FakeRandom(0.0).uniform(10, 20)) == (15.0, 10.0)
