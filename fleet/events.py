"""The event log of a cluster: newest first, kept to the last 1,000 per cluster."""

from __future__ import annotations

from fleet.database import Database
from fleet.records import ClusterKey, Event, Page


def page(database: Database, key: ClusterKey, *, after: str | None = None, limit: int = 50) -> Page[Event]:
    """Raises `schemas.errors.NotFound`."""
    raise NotImplementedError
