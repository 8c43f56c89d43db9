"""Connections: how to reach a cluster, sealed beside its manifest. Written by admins, read by `controller`."""

from __future__ import annotations

from datetime import datetime

from fleet.database import Database
from fleet.records import ClusterKey, Principal
from schemas.connection import Connection


def put(
    database: Database, principal: Principal, key: ClusterKey, connection: Connection, *, now: datetime
) -> None:
    """Stores it, counts the cluster's generation up and makes it due."""
    raise NotImplementedError


def read(database: Database, uid: str) -> Connection | None:
    """The unsealed connection, None when there is none. Raises `fleet.errors.SealBroken`."""
    raise NotImplementedError


def renew(database: Database, uid: str, *, replaces: Connection, renewed: Connection, now: datetime) -> bool:
    """Stores the renewed token unless somebody stored another connection meanwhile; no new generation."""
    raise NotImplementedError


def earliest_expiry(database: Database) -> datetime | None:
    """When the first connection of the fleet dies (kept in a plain column), for `/metrics`."""
    raise NotImplementedError
