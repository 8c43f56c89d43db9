"""The work queue: de-duplicating, one worker per key at a time, with delays and a back-off per key.

The same promises as client-go's workqueue: a key added many times while waiting runs once; a key added while it
runs runs once more afterwards. Holds its clock as a field; no thread of its own: of the workers that wait, one
(the timekeeper) waits only until the next delayed key is due.

Used by `controller` (keys: cluster uids) and `agent` (keys: namespaces, registries), through `reconcile.workers`.
"""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from reconcile.clock import Clock, Random

Key = TypeVar("Key", bound=Hashable)

_LONGEST_WAIT_SECONDS = 3600.0  # a lock waits for no more than some centuries; who waits only looks again
_LARGEST_EXPONENT = 62  # beyond it `2**n` only costs time: every maximum is reached


@dataclass(frozen=True)
class Backoff:
    """Seconds before the nth retry: `base * 2**n`, at most `maximum`, give or take `jitter` of it."""

    base: float = 1.0
    maximum: float = 300.0
    jitter: float = 0.2

    def delay(self, failures: int, random: Random) -> float:
        """`failures` counts from 0."""
        plain: float = min(self.base * 2 ** min(failures, _LARGEST_EXPONENT), self.maximum)
        return plain * random.uniform(1 - self.jitter, 1 + self.jitter)


class Queue(Generic[Key]):
    """Keys that wait. A key whose last run failed waits in the failing lane, so that it never holds up others."""

    def __init__(self, *, clock: Clock, random: Random, backoff: Backoff | None = None) -> None:
        self.clock = clock
        self._random = random
        self._backoff = backoff or Backoff()
        self._lock = threading.RLock()
        # One condition per lane over one lock: False is the healthy lane, True the failing one.
        self._lanes = {False: threading.Condition(self._lock), True: threading.Condition(self._lock)}
        self._ready: dict[bool, dict[Key, None]] = {False: {}, True: {}}  # dicts: ordered sets
        self._running: set[Key] = set()
        self._again: set[Key] = set()  # added while it runs
        self._given_up: set[Key] = set()  # discarded while it runs
        self._failures: dict[Key, int] = {}
        self._due: dict[Key, float] = {}
        self._heap: list[tuple[float, int, Key]] = []  # entries that `_due` no longer confirms are skipped
        self._order = itertools.count()
        self._timekeeper: bool | None = None  # the lane in which the timekeeper waits
        self._closed = False

    def add(self, key: Key) -> None:
        """Now; wakes a key that was waiting for later."""
        with self._lock:
            self._given_up.discard(key)
            self._make_ready(key)

    def restart(self, key: Key) -> None:
        """Now, with the back-off of a first failure from here on: somebody did something about it.

        A failing key stays among the failing: it has not shown yet that it is any better.
        """
        with self._lock:
            if key in self._failures:
                self._failures[key] = 1
            self.add(key)

    def add_after(self, key: Key, seconds: float) -> None:
        """Later; the earliest of several times stands."""
        with self._lock:
            if key in self._given_up or key in self._again or self._is_ready(key):
                return
            if seconds <= 0:
                self._make_ready(key)
                return
            due = self.clock.monotonic() + seconds
            if due < self._due.get(key, float("inf")):
                self._due[key] = due
                heapq.heappush(self._heap, (due, next(self._order), key))
                if self._timekeeper is None:
                    self._appoint_timekeeper()
                elif self._heap[0][2] == key:
                    self._lanes[self._timekeeper].notify_all()  # the timekeeper waits for too long now

    def add_rate_limited(self, key: Key, *, at_least: float = 0.0) -> None:
        """After its back-off; counts one more failure."""
        with self._lock:
            if key in self._given_up:
                return
            failures = self._failures.get(key, 0)
            self._failures[key] = failures + 1
            self.add_after(key, max(self._backoff.delay(failures, self._random), at_least))

    def forget(self, key: Key) -> None:
        """It went well: no failures stand against it."""
        with self._lock:
            if self._failures.pop(key, 0) and key in self._ready[True]:
                del self._ready[True][key]
                self._make_ready(key)

    def failures(self, key: Key) -> int:
        """How many in a row."""
        with self._lock:
            return self._failures.get(key, 0)

    def get(self, *, failing: bool = False) -> Key | None:
        """The next key of a lane (waits for one); None once the queue is closed. Give it back with `done`.

        `failing=False` hands out keys without failures, `failing=True` those with.
        """
        with self._lock:
            while not self._closed:
                next_due = self._promote()
                lane = self._ready[failing]
                if lane:
                    key = next(iter(lane))
                    del lane[key]
                    self._running.add(key)
                    self._appoint_timekeeper()
                    return key
                self._wait(failing, next_due)
            return None

    def done(self, key: Key) -> None:
        """The run ended; if it was added meanwhile, it becomes ready again."""
        with self._lock:
            self._running.discard(key)
            self._given_up.discard(key)
            if key in self._again:
                self._again.discard(key)
                self._make_ready(key)

    def discard(self, key: Key) -> None:
        """Takes a waiting key out and forgets its failures (the shard went to another process).

        What a run under way asks for the key afterwards is not heard, except `add`.
        """
        with self._lock:
            self._due.pop(key, None)
            self._again.discard(key)
            self._failures.pop(key, None)
            for lane in self._ready.values():
                lane.pop(key, None)
            if key in self._running:
                self._given_up.add(key)

    def depth(self) -> tuple[int, int]:
        """(healthy, failing) keys that are ready now."""
        with self._lock:
            self._promote()
            return len(self._ready[False]), len(self._ready[True])

    def close(self) -> None:
        """Wakes everybody; `get` returns None from now on."""
        with self._lock:
            self._closed = True
            for condition in self._lanes.values():
                condition.notify_all()

    def _is_ready(self, key: Key) -> bool:
        return key in self._ready[False] or key in self._ready[True]

    def _make_ready(self, key: Key) -> None:
        self._due.pop(key, None)
        if key in self._running:
            self._again.add(key)
        elif not self._is_ready(key):
            lane = key in self._failures
            self._ready[lane][key] = None
            self._lanes[lane].notify()

    def _promote(self) -> float | None:
        """Makes ready what is due; returns the monotonic time of the next delayed key."""
        now = self.clock.monotonic()
        while self._heap:
            due, _, key = self._heap[0]
            if self._due.get(key) == due:
                if due > now:
                    return due
                self._make_ready(key)
            heapq.heappop(self._heap)
        return None

    def _wait(self, failing: bool, next_due: float | None) -> None:
        if self._timekeeper is not None or next_due is None:
            self.clock.wait(self._lanes[failing], None)
            return
        self._timekeeper = failing
        try:
            left = next_due - self.clock.monotonic()
            self.clock.wait(self._lanes[failing], min(left, _LONGEST_WAIT_SECONDS))
        finally:
            self._timekeeper = None

    def _appoint_timekeeper(self) -> None:
        """Wakes a waiting worker of each lane; the first that finds nothing to do keeps the time."""
        if self._timekeeper is None and self._heap:
            for condition in self._lanes.values():
                condition.notify()
