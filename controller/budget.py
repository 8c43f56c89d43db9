"""How long one run may wait for its cluster in all, and which of its steps took the time.

A cluster that answers each request just under its time-out would else hold a worker for minutes. A run that is cut off is
as one that was killed: the next one looks again, and goes on from what stands in the cluster. Made by
`controller.cluster` and `controller.errands` for each run.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from kube.errors import OutOfTime
from reconcile.clock import Clock


class Budget:
    """Of one run, which begins now.

    Args:
        clock: The time.
        seconds: How long all requests together may take.
    """

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._seconds = seconds
        self._until = clock.monotonic() + seconds
        self._slowest = (0.0, "")

    def left(self) -> float:
        """Seconds; not above zero: over."""
        return self._until - self._clock.monotonic()

    @contextmanager
    def step(self, words: str) -> Iterator[None]:
        """A step of the run, in words that follow `most of it went into`.

        Raises:
            kube.errors.OutOfTime: the time ended in it; its message names the step that took most of it.
        """
        begun = self._clock.monotonic()
        try:
            yield
        except OutOfTime:
            self._note(begun, words)
            raise OutOfTime(
                f"it is too slow: {self._seconds:g} s were over before all was done, "
                f"and most of it went into {self._slowest[1]}"
            ) from None
        self._note(begun, words)

    def _note(self, begun: float, words: str) -> None:
        self._slowest = max(self._slowest, (self._clock.monotonic() - begun, words))
