"""Due work: a row per cluster that changed, with the generation of the change; and the bell that announces it.

Written by every command of the fleet, read by `controller`.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Collection
from time import monotonic
from typing import Any

import psycopg
from sqlalchemy import BindParameter, bindparam, delete, func, insert, select, update
from sqlalchemy import Connection as Session

from fleet import tables
from fleet.database import CHANNEL, Database
from fleet.errors import DatabaseUnavailable
from fleet.records import ClusterKey, Work
from fleet.standing import Standing

_clusters = tables.clusters.c
_work = tables.work.c
_IN_SHARDS: BindParameter[Any] = bindparam("shards", expanding=True)
_DUE = (
    select(_work.cluster_uid, _clusters.org, _clusters.name, _work.shard, _work.generation)
    .join_from(tables.work, tables.clusters, _clusters.uid == _work.cluster_uid)
    .where(_work.shard.in_(_IN_SHARDS))
    .order_by(_work.id)
)
_POPULATION = select(
    _clusters.uid, _clusters.org, _clusters.name, _clusters.shard, _clusters.generation
).where(_clusters.shard.in_(_IN_SHARDS))
_UNSETTLED = select(_clusters.uid).where(
    _clusters.shard.in_(_IN_SHARDS), _clusters.standing.in_([Standing.INSTALLING, Standing.REMOVING])
)
_FINISH = delete(tables.work).where(
    _work.cluster_uid == bindparam("uid"), _work.generation <= bindparam("finished")
)
_RAISE = (
    update(tables.work)
    .where(_work.cluster_uid == bindparam("uid"))
    .values(generation=bindparam("new_generation"))
)
_ENQUEUE = insert(tables.work)
_NOTIFY = select(func.pg_notify(CHANNEL, ""))

_SQLITE_POLL_SECONDS = 0.05
_STOP_POLL_SECONDS = 0.2


def due(database: Database, shards: Collection[int]) -> tuple[Work, ...]:
    """All changes that wait in `shards`, oldest first."""
    if not shards:
        return ()
    with database.read() as session:
        rows = session.execute(_DUE, {"shards": list(shards)}).all()
    return tuple(
        Work(uid, ClusterKey(org, name), shard, generation) for uid, org, name, shard, generation in rows
    )


def finish(database: Database, uid: str, *, generation: int) -> None:
    """Deletes the row unless a newer change stands in it."""
    with database.write(durable=False) as session:
        session.execute(_FINISH, {"uid": uid, "finished": generation})


def population(database: Database, shards: Collection[int]) -> tuple[Work, ...]:
    """Every cluster of `shards` (uid, key, shard, generation), for the periodic looks."""
    if not shards:
        return ()
    with database.read() as session:
        rows = session.execute(_POPULATION, {"shards": list(shards)}).all()
    return tuple(
        Work(uid, ClusterKey(org, name), shard, generation) for uid, org, name, shard, generation in rows
    )


def unsettled(database: Database, shards: Collection[int]) -> tuple[str, ...]:
    """The uids of the clusters of `shards` in which something is being installed or removed."""
    if not shards:
        return ()
    with database.read() as session:
        return tuple(session.execute(_UNSETTLED, {"shards": list(shards)}).scalars())


def enqueue(session: Session, uid: str, *, shard: int, generation: int) -> None:
    """Makes a cluster due in the transaction of its change, and rings at the commit.

    The caller holds the lock on the cluster's row, so that no second row can come in between.
    """
    if session.execute(_RAISE, {"uid": uid, "new_generation": generation}).rowcount == 0:
        session.execute(_ENQUEUE, {"cluster_uid": uid, "shard": shard, "generation": generation})
    if session.dialect.name == "postgresql":
        session.execute(_NOTIFY)


class Bell:
    """Rings when some process changed the state: LISTEN on PostgreSQL, `PRAGMA data_version` on SQLite.

    Listens from its making on, so that nothing is missed before the first `wait` or between two of them. It may
    ring for nothing (on SQLite every write rings). For one thread.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._connection: Any = None
        self._version = 0
        self._listen()

    def _listen(self) -> None:
        """Raises `DatabaseUnavailable`."""
        self._connection = self._database.dedicated()
        if self._database.is_postgresql:
            self._connection.execute(f"LISTEN {CHANNEL}")
        else:
            self._moved()

    def wait(self, timeout_seconds: float, stop: threading.Event) -> bool:
        """True as soon as something changed, False after the time or once `stop` is set.

        A database that went away is looked for again until then; finding it rings, since a change may have been
        missed meanwhile.
        """
        deadline = monotonic() + timeout_seconds
        while not stop.is_set():
            remaining = deadline - monotonic()
            if self._rang(max(0.0, remaining), stop):
                return True
            if remaining <= 0:
                return False
        return False

    def _rang(self, remaining: float, stop: threading.Event) -> bool:
        try:
            if self._connection is None:
                self._listen()
                return True
            if self._database.is_postgresql:
                return self._heard(min(_STOP_POLL_SECONDS, remaining))
            # The condition only cuts the pause short; whether something changed is the database's to say.
            with self._database.written:
                if self._moved():
                    return True
                self._database.written.wait(min(_SQLITE_POLL_SECONDS, remaining))
        except (DatabaseUnavailable, psycopg.Error, sqlite3.Error):
            self.close()
            stop.wait(min(_STOP_POLL_SECONDS, remaining))
        return False

    def _heard(self, seconds: float) -> bool:
        """Whatever came since the last call waits in the driver's queue."""
        return bool(list(self._connection.notifies(timeout=seconds, stop_after=1)))

    def _moved(self) -> bool:
        """Whether another connection committed since the last call: the number is of use only to compare."""
        before = self._version
        self._version = self._connection.execute("PRAGMA data_version").fetchone()[0]
        return before != self._version

    def close(self) -> None:
        """Gives its connection back."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
