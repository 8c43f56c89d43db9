"""What a reconcile says when it returns, and the two ways it may fail.

`Done`: forget the failures; nothing to do until somebody asks. `RequeueAfter`: the same, and come back.
`Retryable` (raised): count, back off, come back. `Terminal` (raised): count, and wait for a change.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Done:
    """Converged."""


@dataclass(frozen=True)
class RequeueAfter:
    """Converged for now; look again after `seconds`."""

    seconds: float


Outcome = Done | RequeueAfter


class ReconcileError(Exception):
    """The base of the two."""


class Retryable(ReconcileError):
    """The world failed; `retry_after` (seconds) is what it asked for, if it did."""

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Terminal(ReconcileError):
    """Only a change by a person can help."""
