"""Errands: what somebody asked a controller to do in one cluster now, and what came of it.

The API dials nobody, so it stores an errand; a controller that holds the cluster's shard takes it up at once. Nothing is
lost with one: it is asked for again. Written by `addon_api`, done by `controller`.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Row, bindparam, delete, func, insert, select, update

from fleet import cluster_rows, tables, work
from fleet.database import Database
from fleet.records import ClusterKey, Errand, Principal
from fleet.shards import hold, shard_of
from schemas.errors import Conflict, NotFound

MOST_WAITING = 8
"""How many errands of one cluster may wait at once."""

KEPT = timedelta(minutes=15)
"""How long an errand can be read, whether it was done or not."""

_errands = tables.errands.c
_clusters = tables.clusters.c
_READ = select(
    _errands.id,
    _errands.cluster_uid,
    _errands.shard,
    _errands.kind,
    _errands.body,
    _errands.requested_at,
    _errands.requested_by,
    _errands.finished_at,
    _errands.result,
)
_WAITING = (
    _READ.where(_errands.shard.in_(bindparam("shards", expanding=True)), _errands.finished_at.is_(None))
    .where(_errands.requested_at > bindparam("oldest"))
    .order_by(_errands.requested_at, _errands.id)
)
_FIND = _READ.join_from(tables.errands, tables.clusters, _clusters.uid == _errands.cluster_uid).where(
    _clusters.org == bindparam("key_org"),
    _clusters.name == bindparam("key_name"),
    _errands.id == bindparam("errand_id"),
)
_SAME = _READ.where(
    _errands.cluster_uid == bindparam("uid"),
    _errands.kind == bindparam("same_kind"),
    _errands.body == bindparam("same_body"),
    _errands.finished_at.is_(None),
)
_COUNT = select(func.count()).where(_errands.cluster_uid == bindparam("uid"), _errands.finished_at.is_(None))
_ADD = insert(tables.errands)
_FORGET = delete(tables.errands).where(
    _errands.cluster_uid == bindparam("uid"), _errands.requested_at <= bindparam("oldest")
)
_OLD = select(_errands.id).where(_errands.requested_at <= bindparam("oldest")).limit(bindparam("rows"))
_SWEEP = delete(tables.errands).where(_errands.id.in_(bindparam("ids", expanding=True)))
_FINISH = (
    update(tables.errands)
    .where(_errands.id == bindparam("errand_id"))
    .values(finished_at=bindparam("moment"), result=bindparam("new_result"))
)


class ErrandKind(StrEnum):
    """What there is to ask for."""

    DOCTOR = "doctor"
    PREVIEW = "preview"


def ask(
    database: Database,
    principal: Principal,
    key: ClusterKey,
    kind: ErrandKind,
    body: Mapping[str, Any],
    *,
    now: datetime,
) -> Errand:
    """Stores the errand and makes the cluster due; one that asks the same and still waits is returned instead.

    Raises:
        schemas.errors.NotFound: there is no such cluster.
        schemas.errors.Conflict: too many wait already.
    """
    text = tables.to_text(body)
    with database.write() as session:
        cluster = cluster_rows.lock(session, key)
        session.execute(_FORGET, {"uid": cluster.uid, "oldest": now - KEPT})
        asked = {"uid": cluster.uid, "same_kind": str(kind), "same_body": text}
        same = session.execute(_SAME, asked).first()
        if same is None:
            waiting: int = session.execute(_COUNT, {"uid": cluster.uid}).scalar_one()
            if waiting >= MOST_WAITING:
                raise Conflict(f"{waiting} errands for cluster {key} wait already: is a controller running?")
            row = {
                "id": tables.new_id(),
                "cluster_uid": cluster.uid,
                "shard": shard_of(cluster.uid),
                "kind": str(kind),
                "body": text,
                "requested_at": now,
                "requested_by": principal.name,
            }
            session.execute(_ADD, row)
            same = session.execute(_SAME, asked).one()
        work.enqueue(session, cluster.uid, shard=shard_of(cluster.uid), generation=cluster.generation)
        return _from_row(same)


def find(database: Database, key: ClusterKey, errand_id: str) -> Errand:
    """One errand of a cluster. Raises `schemas.errors.NotFound`, also once it is forgotten."""
    with database.read() as session:
        row = session.execute(
            _FIND, {"key_org": key.org, "key_name": key.name, "errand_id": errand_id}
        ).one_or_none()
    if row is None:
        raise NotFound(f"cluster {key} has no errand {errand_id}")
    return _from_row(row)


def waiting(database: Database, shards: Collection[int], *, now: datetime) -> tuple[Errand, ...]:
    """What is to be done in `shards`, the oldest first; nobody waits any more for what is older than `KEPT`."""
    if not shards:
        return ()
    with database.read() as session:
        rows = session.execute(_WAITING, {"shards": list(shards), "oldest": now - KEPT}).all()
    return tuple(_from_row(row) for row in rows)


def finish(
    database: Database,
    errand_id: str,
    result: Mapping[str, Any],
    *,
    shard: int,
    epoch: int,
    now: datetime,
) -> None:
    """Stores what came of it; nothing where the cluster is gone.

    Raises:
        fleet.errors.StaleEpoch: another process holds the shard.
    """
    with database.write(durable=False) as session:
        hold(session, shard, epoch)
        session.execute(
            _FINISH, {"errand_id": errand_id, "moment": now, "new_result": tables.to_text(result)}
        )


def sweep(database: Database, *, now: datetime, batch: int = 500) -> int:
    """Forgets at most `batch` errands that cannot be read any more; how many there were."""
    with database.read() as session:
        ids = session.execute(_OLD, {"oldest": now - KEPT, "rows": batch}).scalars().all()
    if ids:
        with database.write(durable=False) as session:
            session.execute(_SWEEP, {"ids": ids})
    return len(ids)


def _from_row(row: Row[*tuple[Any, ...]]) -> Errand:
    errand_id, uid, shard, kind, body, requested_at, requested_by, finished_at, result = row
    return Errand(
        id=errand_id,
        cluster_uid=uid,
        shard=shard,
        kind=kind,
        body=json.loads(body),
        requested_at=requested_at,
        requested_by=requested_by,
        finished_at=finished_at,
        result=None if result is None else json.loads(result),
    )
