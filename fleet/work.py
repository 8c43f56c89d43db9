"""Due work: a row per cluster that changed, with the generation of the change."""

from __future__ import annotations

import threading
from collections.abc import Collection

from fleet.database import Database
from fleet.records import ClusterKey, Work


def due(database: Database, shards: Collection[int]) -> tuple[Work, ...]:
    """All changes that wait in `shards`, oldest first."""
    raise NotImplementedError


def finish(database: Database, uid: str, *, generation: int) -> None:
    """Deletes the row unless a newer change stands in it."""
    raise NotImplementedError


def population(database: Database, shards: Collection[int]) -> tuple[Work, ...]:
    """Every cluster of `shards` (uid, key, shard, generation), for the periodic looks."""
    raise NotImplementedError


def make_due(database: Database, key: ClusterKey) -> None:
    """Asks for a reconcile without a change."""
    raise NotImplementedError


class Bell:
    """Rings when some process changed the state: LISTEN on PostgreSQL, `PRAGMA data_version` on SQLite."""

    def __init__(self, database: Database) -> None:
        raise NotImplementedError

    def wait(self, timeout_seconds: float, stop: threading.Event) -> bool:
        """True as soon as something changed, False after the time or once `stop` is set."""
        raise NotImplementedError

    def close(self) -> None:
        """Gives its connection back."""
        raise NotImplementedError
