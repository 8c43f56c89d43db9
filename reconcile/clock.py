"""Time and chance, the only places where either comes in; a fake of each beside it.

Only loops hold a `Clock`; pure functions take `now`.
"""

from __future__ import annotations

import threading
from datetime import datetime
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
        raise NotImplementedError

    def monotonic(self) -> float:
        raise NotImplementedError

    def wait(self, condition: threading.Condition, timeout_seconds: float | None) -> None:
        raise NotImplementedError


class SystemRandom:
    """The machine's chance."""

    def uniform(self, low: float, high: float) -> float:
        raise NotImplementedError


class FakeClock:
    """Moves only when told; whoever waits on it wakes when its time has come."""

    def __init__(self, start: datetime) -> None:
        raise NotImplementedError

    def now(self) -> datetime:
        raise NotImplementedError

    def monotonic(self) -> float:
        raise NotImplementedError

    def wait(self, condition: threading.Condition, timeout_seconds: float | None) -> None:
        raise NotImplementedError

    def advance(self, seconds: float) -> None:
        """Moves the time and wakes every waiter to look again."""
        raise NotImplementedError


class FakeRandom:
    """Always the same place between low and high (0.5: the middle)."""

    def __init__(self, place: float = 0.5) -> None:
        raise NotImplementedError

    def uniform(self, low: float, high: float) -> float:
        raise NotImplementedError
