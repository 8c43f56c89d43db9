"""A limit to drift repair: where another tool undoes every write at once, two of them would never stop.

Called by `agent.secrets.filling` before each write.
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
        """0 when `target` may be written now, which counts as a write; else in how many seconds it may be."""
        now = self._clock.monotonic()
        with self._lock:
            self._sweep(now)
            writes = self._writes.setdefault(target, deque(maxlen=MOST_WRITES))
            if len(writes) == MOST_WRITES and now - writes[0] < WITHIN_SECONDS:
                return writes[0] + WITHIN_SECONDS - now
            writes.append(now)
            return 0.0

    def _sweep(self, now: float) -> None:
        """Forgets, now and then, what was left in peace."""
        if now - self._swept_at < WITHIN_SECONDS:
            return
        self._swept_at = now
        self._writes = {
            target: writes for target, writes in self._writes.items() if now - writes[-1] < WITHIN_SECONDS
        }
