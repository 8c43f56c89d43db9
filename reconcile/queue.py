"""The work queue: de-duplicating, one worker per key at a time, with delays and a back-off per key.

The same promises as client-go's workqueue: a key added many times while waiting runs once; a key added while it
runs runs once more afterwards. Holds its clock as a field; no thread of its own.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from reconcile.clock import Clock, Random

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class Backoff:
    """Seconds before the nth retry: `base * 2**n`, at most `maximum`, give or take `jitter` of it."""

    base: float = 1.0
    maximum: float = 300.0
    jitter: float = 0.2

    def delay(self, failures: int, random: Random) -> float:
        """`failures` counts from 0."""
        raise NotImplementedError


class Queue(Generic[Key]):
    """Keys that wait. A key whose last run failed waits in the failing lane, so that it never holds up others."""

    def __init__(self, *, clock: Clock, random: Random, backoff: Backoff | None = None) -> None:
        raise NotImplementedError

    def add(self, key: Key) -> None:
        """Now; wakes a key that was waiting for later."""
        raise NotImplementedError

    def add_after(self, key: Key, seconds: float) -> None:
        """Later; the earliest of several times stands."""
        raise NotImplementedError

    def add_rate_limited(self, key: Key, *, at_least: float = 0.0) -> None:
        """After its back-off; counts one more failure."""
        raise NotImplementedError

    def forget(self, key: Key) -> None:
        """It went well: no failures stand against it."""
        raise NotImplementedError

    def failures(self, key: Key) -> int:
        """How many in a row."""
        raise NotImplementedError

    def get(self, *, failing: bool = False) -> Key | None:
        """The next key of a lane (waits for one); None once the queue is closed. Give it back with `done`.

        `failing=False` hands out keys without failures, `failing=True` those with.
        """
        raise NotImplementedError

    def done(self, key: Key) -> None:
        """The run ended; if it was added meanwhile, it becomes ready again."""
        raise NotImplementedError

    def discard(self, key: Key) -> None:
        """Takes a waiting key out and forgets its failures (the shard went to another process)."""
        raise NotImplementedError

    def depth(self) -> tuple[int, int]:
        """(healthy, failing) keys that are ready now."""
        raise NotImplementedError

    def close(self) -> None:
        """Wakes everybody; `get` returns None from now on."""
        raise NotImplementedError
