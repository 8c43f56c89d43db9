"""Workers: threads that take a key, run the reconcile, and turn what it says into queue, metric and log.

One function (`settle`) maps outcomes, for `controller` and `agent` alike. Failing keys have workers of their own,
bounded, so that a tenth of the fleet being down costs the rest nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Generic, Protocol, TypeVar

import structlog

from reconcile.clock import SystemClock
from reconcile.outcome import Done, Outcome, RequeueAfter, Retryable, Terminal
from reconcile.queue import Queue

Key = TypeVar("Key", bound=Hashable)

_log = structlog.get_logger(__name__)


class Observer(Protocol):
    """Hears of every run: metrics and logs."""

    def finished(self, key: object, result: str, seconds: float, error: BaseException | None) -> None:
        """`result`: done, requeue, retry, terminal, or error (an exception nobody expected)."""


def settle(queue: Queue[Key], key: Key, outcome: Outcome | BaseException) -> str:
    """Applies `outcome` to the queue and returns the result's word.

    A `Terminal` failure is an answer: what stood against the key before is forgotten, and it waits for a change.
    """
    match outcome:
        case Done():
            queue.forget(key)
            return "done"
        case RequeueAfter(seconds=seconds):
            queue.forget(key)
            queue.add_after(key, seconds)
            return "requeue"
        case Terminal():
            queue.forget(key)
            return "terminal"
        case Retryable():
            queue.add_rate_limited(key, at_least=outcome.retry_after or 0.0)
            return "retry"
        case _:
            queue.add_rate_limited(key)
            return "error"


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
        self._queue = queue
        self._reconcile = reconcile
        self._observer = observer
        # Daemons: a run that hangs never keeps the process from ending; reconciles may be killed at any point.
        self._threads = [
            threading.Thread(
                target=self._work,
                args=(number >= healthy,),
                name=f"worker-{'failing' if number >= healthy else 'healthy'}-{number}",
                daemon=True,
            )
            for number in range(healthy + failing)
        ]

    def start(self) -> None:
        """Starts the threads."""
        for thread in self._threads:
            thread.start()

    def stop(self, timeout_seconds: float) -> bool:
        """Closes the queue and waits for the runs under way; False when some still run."""
        self._queue.close()
        clock = SystemClock()  # threads end in real time, whatever clock the queue holds
        deadline = clock.monotonic() + timeout_seconds
        for thread in self._threads:
            if thread.is_alive():
                thread.join(max(0.0, deadline - clock.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _work(self, failing: bool) -> None:
        while (key := self._queue.get(failing=failing)) is not None:
            self._run(key)

    def _run(self, key: Key) -> None:
        started = self._queue.clock.monotonic()
        outcome: Outcome | Exception
        try:
            outcome = self._reconcile(key)
        except Exception as error:  # noqa: BLE001 - `settle` is the one place that judges failures
            outcome = error
        result = settle(self._queue, key, outcome)
        self._queue.done(key)
        failure = outcome if isinstance(outcome, Exception) else None
        try:
            self._observer.finished(key, result, self._queue.clock.monotonic() - started, failure)
        except Exception:  # noqa: BLE001 - never at the price of a worker
            _log.exception("observer failed", key=str(key))
