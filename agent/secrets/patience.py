"""A limit to drift repair: where another tool undoes every write at once, two of them would never stop.

Only writes that were made count: what is refused is nobody's undoing, and is tried again with growing pauses. Called by
`agent.secrets.filling`, `agent.labelled.watch` and `agent.webhook.certificates` around each write.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Hashable

from reconcile.clock import Clock

MOST_WRITES = 6
WITHIN_SECONDS = 60.0


class Patience:
    """Allows `MOST_WRITES` to one object within `WITHIN_SECONDS`. Safe for several threads."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._writes: dict[Hashable, deque[float]] = {}
        self._swept_at = clock.monotonic()

    def wait_for(self, target: Hashable) -> float:
        """0 when `target` may be written now; else in how many seconds it may be."""
        now = self._clock.monotonic()
        with self._lock:
            writes = self._writes.get(target)
            if writes is None or len(writes) < MOST_WRITES:
                return 0.0
            return max(0.0, writes[0] + WITHIN_SECONDS - now)

    def wrote(self, target: Hashable) -> None:
        """Counts a write."""
        now = self._clock.monotonic()
        with self._lock:
            self._sweep(now)
            self._writes.setdefault(target, deque(maxlen=MOST_WRITES)).append(now)

    def _sweep(self, now: float) -> None:
        """Forgets, now and then, what was left in peace."""
        if now - self._swept_at < WITHIN_SECONDS:
            return
        self._swept_at = now
        self._writes = {
            target: writes for target, writes in self._writes.items() if now - writes[-1] < WITHIN_SECONDS
        }
