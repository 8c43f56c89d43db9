"""Workers: threads that take a key, run the reconcile, and turn what it says into queue, metric and log.

One function (`settle`) maps outcomes, for `controller` and `agent` alike. Failing keys have workers of their own,
bounded, so that a tenth of the fleet being down costs the rest nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Generic, Protocol, TypeVar

from reconcile.outcome import Outcome
from reconcile.queue import Queue

Key = TypeVar("Key", bound=Hashable)


class Observer(Protocol):
    """Hears of every run: metrics and logs."""

    def finished(self, key: object, result: str, seconds: float, error: BaseException | None) -> None:
        """`result`: done, requeue, retry, terminal, or error (an exception nobody expected)."""


def settle(queue: Queue[Key], key: Key, outcome: Outcome | BaseException) -> str:
    """Applies `outcome` to the queue and returns the result's word."""
    raise NotImplementedError


class Workers(Generic[Key]):
    """`healthy` + `failing` threads over one queue."""

    def __init__(
        self,
        queue: Queue[Key],
        reconcile: Callable[[Key], Outcome],
        *,
        observer: Observer,
        healthy: int,
        failing: int,
    ) -> None:
        raise NotImplementedError

    def start(self) -> None:
        """Starts the threads."""
        raise NotImplementedError

    def stop(self, timeout_seconds: float) -> bool:
        """Closes the queue and waits for the runs under way; False when some still run."""
        raise NotImplementedError
