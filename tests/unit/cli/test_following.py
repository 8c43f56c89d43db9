"""Waiting and watching, on a clock that the test moves."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest

from cli import following

START = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


class Passing:
    """A clock where waiting makes the time pass."""

    def __init__(self) -> None:
        self._seconds = 0.0

    def now(self) -> datetime:
        return START + timedelta(seconds=self._seconds)

    def monotonic(self) -> float:
        return self._seconds

    def wait(self, condition: threading.Condition, timeout_seconds: float | None) -> None:
        assert condition is not None
        assert timeout_seconds is not None
        self._seconds += timeout_seconds


def test_what_is_so_already_is_not_waited_for() -> None:
    assert following.until(lambda: True, timeout_seconds=0, clock=Passing())


def test_without_time_it_is_asked_once() -> None:
    answers = iter([False])
    assert not following.until(lambda: next(answers), timeout_seconds=0, clock=Passing())


def test_it_is_asked_every_second_until_the_time_has_passed() -> None:
    clock = Passing()
    asked: list[float] = []

    def reached() -> bool:
        asked.append(clock.monotonic())
        return False

    assert not following.until(reached, timeout_seconds=2.5, clock=clock)
    assert [0, 1, 2, 2.5] == asked


def test_off_a_terminal_only_changes_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with following.display() as say:
        for picture in ("Installing", "Installing", "Ready"):
            say(picture)
    assert "Installing\nReady\n" == capsys.readouterr().out


def test_what_did_not_come_in_time_has_an_exit_code_of_its_own() -> None:
    assert 3 == following.NotInTime("late").exit_code
