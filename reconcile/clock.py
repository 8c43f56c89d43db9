"""Time and chance, the only places where either comes in; a fake of each beside it.

Only loops hold a `Clock`; pure functions take `now`.
"""

from __future__ import annotations

import random  # noqa: TID251 - the module that owns chance
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Wall time for what people and AWS read, monotonic time for waiting."""

    def now(self) -> datetime:
        """The time in UTC, time-zone aware."""

    def monotonic(self) -> float:
        """Seconds that never go back."""

    def wait(self, condition: threading.Condition, timeout_seconds: float | None) -> None:
        """Waits on a held `condition` until notified or the time has passed (spurious returns allowed)."""


class Random(Protocol):
    """Chance."""

    def uniform(self, low: float, high: float) -> float:
        """A float between `low` and `high`."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def wait(self, condition: threading.Condition, timeout_seconds: float | None) -> None:
        condition.wait(timeout_seconds)


class SystemRandom:
    """The machine's chance: spreads load, guards no secret."""

    def uniform(self, low: float, high: float) -> float:
        return random.uniform(low, high)  # noqa: S311 - jitter


class FakeClock:
    """Moves only when told; whoever waits on it wakes when its time has come."""

    def __init__(self, start: datetime) -> None:
        self._start = start
        self._elapsed = 0.0
        self._changed = threading.Condition()
        self._waiting: list[threading.Condition] = []
        self._seen = threading.local()

    def now(self) -> datetime:
        with self._changed:
            return self._start + timedelta(seconds=self._elapsed)

    def monotonic(self) -> float:
        with self._changed:
            self._seen.elapsed = self._elapsed
            return self._elapsed

    def wait(self, condition: threading.Condition, timeout_seconds: float | None) -> None:
        if timeout_seconds is not None and timeout_seconds <= 0:
            return
        with self._changed:
            if getattr(self._seen, "elapsed", self._elapsed) != self._elapsed:
                return  # the caller reckoned its time-out before the clock moved: let it look again
            self._waiting.append(condition)
            self._changed.notify_all()
        try:
            condition.wait()
        finally:
            with self._changed:
                self._waiting.remove(condition)

    def advance(self, seconds: float) -> None:
        """Moves the time and wakes every waiter to look again."""
        with self._changed:
            self._elapsed += seconds
            waiting = list(self._waiting)
        for condition in waiting:
            with condition:
                condition.notify_all()

    def until_waiting(self, threads: int) -> None:
        """Returns once at least `threads` threads wait on this clock (a test's way to know that they are idle)."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._waiting) >= threads)


class FakeRandom:
    """Always the same place between low and high (0.5: the middle)."""

    def __init__(self, place: float = 0.5) -> None:
        self._place = place

    def uniform(self, low: float, high: float) -> float:
        return low + (high - low) * self._place
