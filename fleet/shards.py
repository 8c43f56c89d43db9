"""Shards: 64 of them; processes lease them in bulk by a heartbeat, each change of owner a new epoch.

Called by `controller`; `hold` guards every write that only the owner of a shard may make.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta

from sqlalchemy import Connection as Session
from sqlalchemy import bindparam, delete, func, select, update

from fleet import tables
from fleet.database import Database, insert_or_ignore
from fleet.errors import StaleEpoch

SHARDS = 64
LEASE_SECONDS = 15

_LEASES_LOCK = 0x7075_6C6C_7368_6172  # one process at a time shares out; SQLite's writers are alone anyway

_shards = tables.shards.c
_processes = tables.processes.c
_BEAT = (
    update(tables.processes).where(_processes.id == bindparam("process")).values(heartbeat=bindparam("now"))
)
_BURY = delete(tables.processes).where(_processes.heartbeat < bindparam("silent_since"))
_LIVE = select(_processes.id).order_by(_processes.id)
_ALL = select(_shards.id, _shards.owner, _shards.epoch).order_by(_shards.id)
_HAND_OVER = (
    update(tables.shards)
    .where(_shards.id.in_(bindparam("changing", expanding=True)))
    .values(owner=bindparam("new_owner"), epoch=_shards.epoch + 1)
)
_LEAVE = delete(tables.processes).where(_processes.id == bindparam("process"))
_EPOCH = select(_shards.epoch).where(_shards.id == bindparam("shard")).with_for_update(read=True)


def shard_of(uid: str) -> int:
    """0 to 63, from a stable hash of the uid."""
    return int.from_bytes(hashlib.sha256(uid.encode()).digest()[:2]) % SHARDS


def heartbeat(database: Database, process: str, *, now: datetime) -> Mapping[int, int]:
    """Says that `process` lives and returns its shards with their epochs.

    Live processes share the shards evenly; a shard is taken over only when its owner gave it up or has not been
    heard of for `LEASE_SECONDS`. Call it at a third of that.
    """
    with database.write(durable=False) as session:
        _share_out_alone(session)
        if session.execute(_BEAT, {"process": process, "now": now}).rowcount == 0:
            insert_or_ignore(session, tables.processes, {"id": process, "heartbeat": now})
        session.execute(_BURY, {"silent_since": now - timedelta(seconds=LEASE_SECONDS)})
        live = session.execute(_LIVE).scalars().all()
        rows = session.execute(_ALL).all()
        mine = {shard: epoch for shard, owner, epoch in rows if owner == process}
        free = [shard for shard, owner, _ in rows if owner not in live]
        share = _share(live.index(process), len(live))
        surplus = list(mine)[share:]
        wanted = free[: max(0, share - len(mine))]
        _hand_over(session, surplus, None)
        _hand_over(session, wanted, process)
        epochs = {shard: epoch for shard, _, epoch in rows}
        kept = {shard: epoch for shard, epoch in mine.items() if shard not in surplus}
        return kept | {shard: epochs[shard] + 1 for shard in wanted}


def release(database: Database, process: str) -> None:
    """Gives every shard up at once (a clean stop)."""
    with database.write() as session:
        _share_out_alone(session)
        session.execute(_LEAVE, {"process": process})
        rows = session.execute(_ALL).all()
        _hand_over(session, [shard for shard, owner, _ in rows if owner == process], None)


def hold(session: Session, shard: int, epoch: int) -> None:
    """Keeps the shard with its owner until the end of the transaction.

    Raises:
        StaleEpoch: the shard changed hands since `epoch`.
    """
    if session.execute(_EPOCH, {"shard": shard}).scalar_one() != epoch:
        raise StaleEpoch(f"shard {shard} is no longer held at epoch {epoch}")


def _share(place: int, processes: int) -> int:
    """How many shards the process at `place` (from 0, by id) of so many is due."""
    return SHARDS // processes + (1 if place < SHARDS % processes else 0)


def _hand_over(session: Session, changing: Collection[int], owner: str | None) -> None:
    if changing:
        session.execute(_HAND_OVER, {"changing": list(changing), "new_owner": owner})


def _share_out_alone(session: Session) -> None:
    if session.dialect.name == "postgresql":
        session.execute(select(func.pg_advisory_xact_lock(_LEASES_LOCK)))
