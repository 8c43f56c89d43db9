"""Shards: 64 of them; processes lease them in bulk by a heartbeat, each change of owner a new epoch."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from fleet.database import Database

SHARDS = 64
LEASE_SECONDS = 15


def shard_of(uid: str) -> int:
    """0 to 63, from a stable hash of the uid."""
    raise NotImplementedError


def heartbeat(database: Database, process: str, *, now: datetime) -> Mapping[int, int]:
    """Says that `process` lives and returns its shards with their epochs.

    Live processes share the shards evenly; a shard is taken over only when its owner gave it up or has not been
    heard of for `LEASE_SECONDS`. Call it at a third of that.
    """
    raise NotImplementedError


def release(database: Database, process: str) -> None:
    """Gives every shard up at once (a clean stop)."""
    raise NotImplementedError
