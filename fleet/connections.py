"""Connections: how to reach a cluster, sealed beside its manifest. Written by admins, read by `controller`."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime

from sqlalchemy import bindparam, func, insert, select, update
from sqlalchemy import delete as sql_delete

from fleet import audit, cluster_rows, events, tables
from fleet.database import Database
from fleet.events import NewEvent
from fleet.records import ClusterKey, Principal
from fleet.sealing import Sealer
from schemas import connection as connection_words
from schemas.connection import Connection

_connections = tables.connections.c
_SEALED = select(_connections.sealed).where(_connections.cluster_uid == bindparam("uid"))
_SEALED_LOCKED = _SEALED.with_for_update()
_ADD = insert(tables.connections)
_REPLACE = (
    update(tables.connections)
    .where(_connections.cluster_uid == bindparam("uid"))
    .values(sealed=bindparam("new_sealed"), expires_at=bindparam("new_expiry"))
)
_RESEAL = (
    update(tables.connections)
    .where(_connections.cluster_uid == bindparam("uid"))
    .values(sealed=bindparam("new_sealed"))
)
_FORGET = sql_delete(tables.connections).where(_connections.cluster_uid == bindparam("uid"))
_EARLIEST = select(func.min(_connections.expires_at))
_UIDS = select(_connections.cluster_uid).order_by(_connections.cluster_uid)


def put(
    database: Database, principal: Principal, key: ClusterKey, connection: Connection, *, now: datetime
) -> None:
    """Stores it, counts the cluster's generation up and makes it due.

    Taken for a cluster that is being removed, too: its removal may wait for a credential that works.

    Raises:
        schemas.errors.NotFound: there is no such cluster.
    """
    with database.write() as session:
        cluster = cluster_rows.lock(session, key)
        row = {
            "uid": cluster.uid,
            "new_sealed": _seal(database.sealer, cluster.uid, connection),
            "new_expiry": connection.expires_at,
        }
        if session.execute(_REPLACE, row).rowcount == 0:
            added = {"cluster_uid": row["uid"], "sealed": row["new_sealed"], "expires_at": row["new_expiry"]}
            session.execute(_ADD, added)
        cluster_rows.count_up(session, cluster, connected=True)
        audit.record(
            session, principal, "connect", org=key.org, name=key.name, version=cluster.version, now=now
        )
        event = NewEvent("Normal", "Connected", f"Connection stored by {principal.name}")
        events.add(session, cluster.uid, [event], now=now)


def delete(database: Database, principal: Principal, key: ClusterKey, *, now: datetime) -> bool:
    """Forgets how to reach the cluster and makes it due; False where nothing was stored.

    Raises:
        schemas.errors.NotFound: there is no such cluster.
    """
    with database.write() as session:
        cluster = cluster_rows.lock(session, key)
        if session.execute(_FORGET, {"uid": cluster.uid}).rowcount == 0:
            return False
        forgotten = replace(cluster, generation=cluster.generation + 1, connected=False)
        cluster_rows.store(session, forgotten)
        audit.record(
            session, principal, "disconnect", org=key.org, name=key.name, version=cluster.version, now=now
        )
        event = NewEvent("Normal", "Disconnected", f"Connection deleted by {principal.name}")
        events.add(session, cluster.uid, [event], now=now)
        return True


def read(database: Database, uid: str) -> Connection | None:
    """The unsealed connection, None when there is none. Raises `fleet.errors.SealBroken`."""
    with database.read() as session:
        sealed = session.execute(_SEALED, {"uid": uid}).scalar_one_or_none()
    return None if sealed is None else _open(database.sealer, uid, sealed)


def renew(database: Database, uid: str, *, replaces: Connection, renewed: Connection, now: datetime) -> bool:
    """Stores the renewed token unless somebody stored another connection meanwhile; no new generation.

    Raises:
        fleet.errors.SealBroken: what is stored does not open with any key we have.
    """
    with database.write() as session:
        # The cluster first, as every command that writes to it does: two orders of locking could wait in a ring.
        session.execute(cluster_rows.BY_UID_LOCKED, {"uid": uid})
        sealed = session.execute(_SEALED, {"uid": uid}).scalar_one_or_none()
        if sealed is None or _open(database.sealer, uid, sealed) != replaces:
            return False
        row = {
            "uid": uid,
            "new_sealed": _seal(database.sealer, uid, renewed),
            "new_expiry": renewed.expires_at,
        }
        session.execute(_REPLACE, row)
        events.add(session, uid, [NewEvent("Normal", "ConnectionRenewed", "Token renewed")], now=now)
        return True


def earliest_expiry(database: Database) -> datetime | None:
    """When the first connection of the fleet dies (kept in a plain column), for `/metrics`."""
    with database.read() as session:
        earliest: datetime | None = session.execute(_EARLIEST).scalar_one()
    return earliest


def reseal(database: Database) -> int:
    """Seals with the newest key every connection that an older one sealed; how many there were.

    Each row is a transaction of its own, so that it may run beside a working hub and be begun again. Afterwards
    the older keys can leave the key file.

    Raises:
        fleet.errors.SealBroken: a row does not open with any key we have; those before it are done.
    """
    resealed = 0
    with database.read() as session:
        uids = session.execute(_UIDS).scalars().all()
    for uid in uids:
        with database.write() as session:
            sealed = session.execute(_SEALED_LOCKED, {"uid": uid}).scalar_one_or_none()
            if sealed is not None and not database.sealer.is_newest(sealed):
                plain = database.sealer.open(sealed, row=_row(uid))
                session.execute(
                    _RESEAL, {"uid": uid, "new_sealed": database.sealer.seal(plain, row=_row(uid))}
                )
                resealed += 1
    return resealed


def _seal(sealer: Sealer, uid: str, connection: Connection) -> bytes:
    return sealer.seal(tables.to_text(connection_words.to_json(connection)).encode(), row=_row(uid))


def _open(sealer: Sealer, uid: str, sealed: bytes) -> Connection:
    return connection_words.from_json(json.loads(sealer.open(sealed, row=_row(uid))))


def _row(uid: str) -> str:
    return f"connections/{uid}"
