"""Statuses: what a reconcile learned, written with its events under the shard's epoch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from fleet.database import Database
from fleet.records import Event
from schemas.status import ClusterStatus, Json


@dataclass(frozen=True)
class NewEvent:
    """An event to write; the id and time are given when it is stored."""

    type: str
    reason: str
    message: str
    context: Json = field(default_factory=dict)


def write(
    database: Database,
    uid: str,
    status: ClusterStatus,
    events: Sequence[NewEvent],
    *,
    shard: int,
    epoch: int,
    now: datetime,
) -> None:
    """Status and events in one transaction. Call it only when something changed.

    Raises:
        fleet.errors.StaleEpoch: another process holds the shard; nothing was written.
    """
    raise NotImplementedError


def counts(database: Database) -> dict[tuple[str, str], int]:
    """(add-on, state) to the number of clusters, for `/metrics`."""
    raise NotImplementedError


__all__ = ["Event", "NewEvent", "counts", "write"]
