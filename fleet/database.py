"""The database: one engine, one transaction at a time, one code path for SQLite (WAL) and PostgreSQL.

Every other module of `fleet` takes a `Database` first. Opened by `cli`, in each process after it forked.

The drivers run in autocommit mode and this module says `BEGIN` itself: a read is one bare statement, without the
two round trips of a transaction around it, and a write takes SQLite's lock at its first word (`BEGIN IMMEDIATE`),
so that it never fails half-way because somebody else wrote.
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic
from typing import Any

from alembic.util import CommandError
from sqlalchemy import URL, Engine, Table, create_engine, event, make_url, select, text
from sqlalchemy import Connection as Session
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import (
    ArgumentError,
    DataError,
    InterfaceError,
    InternalError,
    NoResultFound,
    OperationalError,
    ProgrammingError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout

from fleet import migrations, tables
from fleet.errors import DatabaseUnavailable, FleetError
from fleet.sealing import Sealer
from schemas.errors import Invalid

CHANNEL = "pullpass"
"""Where a change is announced on PostgreSQL (NOTIFY)."""

_MIGRATION_LOCK = 0x70756C6C70617373  # "pullpass": the advisory lock that one migrating process holds
_MIGRATION_SECONDS = 60
_HUB_ID = select(tables.hub.c.id)


class Database:
    """`url` is `sqlite:///path` or `postgresql://…`; `sealer` seals connections.

    `lock_timeout_seconds`: how long a write waits for another one before it is `DatabaseUnavailable`.
    """

    def __init__(self, url: str, *, sealer: Sealer, lock_timeout_seconds: float = 10.0) -> None:
        self.sealer = sealer
        self._lock_timeout = lock_timeout_seconds
        self._url = _driver_url(url)
        self.is_postgresql = self._url.get_backend_name() == "postgresql"
        # Threads of one process queue here instead of polling SQLite's file lock; PostgreSQL needs no queue.
        self._turn = None if self.is_postgresql else threading.Lock()
        self._hub_id: str | None = None
        self.written = threading.Condition()
        """Notified after each committed write of this process."""
        self.engine: Engine = self._open_postgresql() if self.is_postgresql else self._open_sqlite()

    def _open_postgresql(self) -> Engine:
        defaults = {"application_name": "pullpass", "connect_timeout": 5, "keepalives_idle": 30}
        chosen = {name: value for name, value in defaults.items() if name not in self._url.query}
        engine = create_engine(
            self._url,
            hide_parameters=True,
            pool_size=5,
            max_overflow=20,
            pool_timeout=self._lock_timeout,
            connect_args=chosen | {"autocommit": True},
        )
        milliseconds = int(self._lock_timeout * 1000)

        @event.listens_for(engine, "connect")
        def set_limits(connection: Any, _: Any) -> None:
            connection.execute(f"SET lock_timeout = {milliseconds}")
            connection.execute(f"SET statement_timeout = {milliseconds * 3}")
            connection.execute(f"SET idle_in_transaction_session_timeout = {milliseconds * 6}")

        return engine

    def _open_sqlite(self) -> Engine:
        engine = create_engine(
            self._url,
            hide_parameters=True,
            pool_size=5,
            max_overflow=20,
            pool_timeout=self._lock_timeout,
            connect_args={"isolation_level": None, "timeout": self._lock_timeout},
        )

        @event.listens_for(engine, "connect")
        def set_pragmas(connection: Any, _: Any) -> None:
            cursor = connection.cursor()
            cursor.execute("PRAGMA foreign_keys = ON")
            cursor.close()

        return engine

    def migrate(self) -> None:
        """Brings the schema up to date under a lock; safe from many processes at once.

        Raises:
            DatabaseUnavailable: the database does not answer, or the lock was not to be had.
            FleetError: a newer release migrated it further than this one knows.
        """
        try:
            with _translated():
                if self.is_postgresql:
                    self._migrate_postgresql()
                else:
                    self._migrate_sqlite()
        except CommandError as error:
            raise FleetError("a newer release of Pullpass made this database: run that one") from error

    def _migrate_postgresql(self) -> None:
        with self.engine.connect() as session:
            session.exec_driver_sql("BEGIN")
            session.exec_driver_sql(f"SET LOCAL lock_timeout = '{_MIGRATION_SECONDS}s'")
            session.exec_driver_sql(f"SET LOCAL statement_timeout = '{_MIGRATION_SECONDS}s'")
            session.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _MIGRATION_LOCK})
            # Processes of the release before are at work: give up rather than make them queue behind a table lock.
            session.exec_driver_sql("SET LOCAL lock_timeout = '5s'")
            migrations.upgrade(session)
            session.commit()

    def _migrate_sqlite(self) -> None:
        path = Path(self._url.database or "")
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Never opened when it is there: closing it would end the locks that SQLite holds on it in this process.
            with suppress(FileExistsError):
                os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            with _file_lock(path.with_name(f"{path.name}.lock")), self.engine.connect() as session:
                session.exec_driver_sql("PRAGMA journal_mode = WAL")
                session.exec_driver_sql("BEGIN IMMEDIATE")
                migrations.upgrade(session)
                session.commit()
        except OSError as error:
            raise DatabaseUnavailable(f"{error.filename}: {error.strerror}") from error

    @contextmanager
    def write(self, *, durable: bool = True) -> Iterator[Session]:
        """A transaction that writes (`BEGIN IMMEDIATE` on SQLite): commits, or leaves nothing.

        With `durable` false SQLite does not wait for the disk: a power cut (never the death of a process) may undo
        the commit, until the next durable one. For what a controller that starts again does again anyway
        (https://sqlite.org/pragma.html#pragma_synchronous). PostgreSQL, which may die alone, always waits.

        Raises:
            DatabaseUnavailable: the database does not answer, or is locked for too long.
        """
        with _translated(), self._queued(), self.engine.connect() as session:
            if not self.is_postgresql:
                session.exec_driver_sql(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            session.exec_driver_sql("BEGIN" if self.is_postgresql else "BEGIN IMMEDIATE")
            yield session  # leaving by an exception closes the session, and that rolls back
            session.commit()
        with self.written:
            self.written.notify_all()

    @contextmanager
    def _queued(self) -> Iterator[None]:
        if self._turn is None:
            yield
            return
        if not self._turn.acquire(timeout=self._lock_timeout):
            raise DatabaseUnavailable("the database is locked")
        try:
            yield
        finally:
            self._turn.release()

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Reads, each statement by itself: nothing is locked or held open between two of them.

        Raises:
            DatabaseUnavailable: the database does not answer.
        """
        with _translated(), self.engine.connect() as session:
            yield session

    def dedicated(self) -> Any:
        """The driver's own connection outside the pool, which the caller closes (`fleet.work.Bell`).

        Raises:
            DatabaseUnavailable: the database does not answer.
        """
        with _translated():
            pooled = self.engine.raw_connection()
            pooled.detach()
            return pooled.dbapi_connection

    def hub_id(self) -> str:
        """The random id of this hub, made at the first migration: the owner's name in each cluster."""
        if self._hub_id is None:
            with self.read() as session:
                self._hub_id = session.execute(_HUB_ID).scalar_one()
        return self._hub_id

    def ping(self) -> None:
        """Raises `fleet.errors.DatabaseUnavailable` when the database does not answer."""
        try:
            with self.read() as session:
                session.execute(_HUB_ID).scalar_one()
        except (NoResultFound, ProgrammingError) as error:
            raise DatabaseUnavailable("the database is not migrated") from error

    def close(self) -> None:
        """Gives back every connection."""
        self.engine.dispose()


def insert_or_ignore(session: Session, table: Table, row: Mapping[str, Any]) -> bool:
    """Inserts `row` unless one with the same unique key is there; tells whether it did."""
    upsert = postgresql.insert if session.dialect.name == "postgresql" else sqlite.insert
    statement = upsert(table).on_conflict_do_nothing().returning(*table.primary_key)
    return session.execute(statement, dict(row)).one_or_none() is not None


def _driver_url(url: str) -> URL:
    """The URL with the driver we use. Raises `FleetError`, which shows no password."""
    try:
        parsed = make_url(url.replace("postgres://", "postgresql://", 1))
    except ArgumentError:
        raise FleetError("the database URL must be sqlite:///path or postgresql://user@host/name") from None
    if parsed.drivername in ("postgresql", "postgresql+psycopg"):
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername in ("sqlite", "sqlite+pysqlite"):
        if not parsed.database or parsed.database.startswith((":memory:", "file:")):
            raise FleetError("SQLite needs a file: sqlite:///path")
        return parsed.set(drivername="sqlite+pysqlite")
    raise FleetError(f"the database must be sqlite or postgresql, not {parsed.drivername}")


@contextmanager
def _translated() -> Iterator[None]:
    """Turns the driver's errors into ours; their text names no value of a statement."""
    try:
        yield
    except (OperationalError, InterfaceError, InternalError) as error:
        raise DatabaseUnavailable(str(error.orig).strip()) from error
    except PoolTimeout as error:
        raise DatabaseUnavailable("every connection to the database is in use") from error
    except (DataError, UnicodeEncodeError) as error:
        raise Invalid("the request holds a character that cannot be stored") from error


@contextmanager
def _file_lock(path: Path) -> Iterator[None]:
    """Holds an exclusive lock on a file beside the database: SQLite itself cannot lock a change to WAL."""
    deadline = monotonic() + _MIGRATION_SECONDS
    pause = threading.Event()
    with path.open("a") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if monotonic() > deadline:
                    raise DatabaseUnavailable(f"another process holds {path}") from None
                pause.wait(0.05)
        yield
