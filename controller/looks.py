"""Periodic looks: when each cluster of this process is looked at again although nobody changed it.

In memory only: a look that is lost with its process is made up for by whoever takes the shard over. Spread by
chance, so that a fleet that started at once is not looked at at once. Called by `controller.engine`.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable

from reconcile.clock import Random

_SPREAD = 0.5


class Looks:
    """Times of `clock.monotonic()`, in seconds. Not thread-safe: the engine's main loop owns it."""

    def __init__(self, look_seconds: float, *, random: Random) -> None:
        self._look_seconds = look_seconds
        self._random = random
        self._due: dict[str, float] = {}
        self._heap: list[tuple[float, str]] = []

    def __contains__(self, uid: object) -> bool:
        return uid in self._due

    def start(self, uids: Iterable[str], now: float) -> None:
        """The first look at clusters that are new to this process falls anywhere within `look_seconds`."""
        for uid in uids:
            if uid not in self._due:
                self._plan(uid, now + self._random.uniform(0, self._look_seconds))

    def drop(self, uids: Iterable[str]) -> None:
        """No more looks at them."""
        for uid in uids:
            self._due.pop(uid, None)

    def due(self, now: float) -> tuple[str, ...]:
        """Whom to look at now; each is planned again within `look_seconds` ± 50 %."""
        found = []
        while self._heap and self._heap[0][0] <= now:
            due, uid = heapq.heappop(self._heap)
            if self._due.get(uid) == due:  # else dropped, or dropped and started anew
                found.append(uid)
                spread = self._random.uniform(1 - _SPREAD, 1 + _SPREAD)
                self._plan(uid, now + self._look_seconds * spread)
        return tuple(found)

    def _plan(self, uid: str, due: float) -> None:
        self._due[uid] = due
        heapq.heappush(self._heap, (due, uid))
