"""The database itself: URLs, transactions, and what it says when it cannot."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError, StatementError

from fleet import clusters, tables
from fleet.clusters import Wish
from fleet.database import Database
from fleet.errors import DatabaseUnavailable, FleetError
from fleet.records import Cluster, ClusterKey, Principal
from tests.support.postgresql import PostgreSql
from tests.unit.fleet.samples import NOW, manifest, open_database


@pytest.mark.parametrize(
    "url",
    [
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:///file:a?mode=memory&uri=true",
        "mysql://user:hidden@host/name",
        "no url, hidden",
        "postgresql+asyncpg://user:hidden@host/name",
    ],
)
def test_a_database_we_cannot_use_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(FleetError) as refused:
        open_database(url)

    assert "hidden" not in str(refused.value)


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_every_spelling_of_postgresql_is_taken(postgresql_url: str, scheme: str) -> None:
    database = open_database(postgresql_url.replace("postgresql", scheme, 1))
    database.ping()
    database.close()


def test_the_hub_keeps_its_id(database: Database, second: Database) -> None:
    assert database.hub_id() == second.hub_id()
    assert 26 == len(database.hub_id())


def test_a_transaction_that_fails_leaves_nothing(database: Database, stored: Cluster) -> None:
    def fail() -> None:
        with database.write() as session:
            session.execute(tables.clusters.delete())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()

    assert stored == clusters.read(database, stored.key)


def test_a_write_is_seen_by_others_only_once_it_is_committed(
    database: Database, second: Database, stored: Cluster
) -> None:
    with database.write() as session:
        session.execute(tables.clusters.update().values(version=7))
        assert 1 == clusters.read(second, stored.key).version

    assert 7 == clusters.read(second, stored.key).version


def test_a_connection_is_given_back_after_each_use(
    database: Database, admin: Principal, stored: Cluster
) -> None:
    for number in range(100):
        clusters.read(database, stored.key)
        clusters.put(database, admin, stored.key, Wish(manifest(version=str(number))), now=NOW)

    assert "Current Checked out connections: 0" in database.engine.pool.status()


def test_an_absent_sqlite_file_is_unavailable_and_not_made(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path}/absent/pullpass.db")

    with pytest.raises(DatabaseUnavailable):
        database.ping()

    database.close()
    assert [] == list(tmp_path.iterdir())


def test_an_absent_server_is_unavailable_and_its_password_not_told(tmp_path: Path) -> None:
    database = open_database(f"postgresql://user:hidden@/name?host={tmp_path}")

    with pytest.raises(DatabaseUnavailable) as unavailable:
        database.ping()

    database.close()
    assert "hidden" not in str(unavailable.value)


def test_a_lost_server_connection_fails_once_and_is_made_again(
    postgresql: PostgreSql, postgresql_url: str
) -> None:
    database = open_database(postgresql_url)
    database.ping()
    postgresql.drop_connections()

    with pytest.raises(DatabaseUnavailable):
        database.ping()

    database.ping()
    database.close()


def test_a_database_that_somebody_locks_for_too_long_is_unavailable(
    url: str, database: Database, stored: Cluster
) -> None:
    impatient = open_database(url, lock_timeout_seconds=0.1)
    with database.write() as session:
        session.execute(select(tables.clusters.c.uid).with_for_update())
        with pytest.raises(DatabaseUnavailable), impatient.write() as other:
            other.execute(tables.clusters.update().values(version=9))
    impatient.close()

    assert 1 == clusters.read(database, stored.key).version


def test_threads_of_one_process_that_wait_too_long_for_each_other_are_told(
    sqlite_template: Path, tmp_path: Path
) -> None:
    path = tmp_path / "pullpass.db"
    path.write_bytes(sqlite_template.read_bytes())
    database = open_database(f"sqlite:///{path}", lock_timeout_seconds=0.1)

    with database.write(), pytest.raises(DatabaseUnavailable, match="locked"), database.write():
        pass

    database.close()


def test_sqlite_is_a_file_for_its_owner_alone_in_wal_mode(tmp_path: Path) -> None:
    path = tmp_path / "data" / "pullpass.db"
    database = open_database(f"sqlite:///{path}")
    database.migrate()
    database.close()

    assert 0o600 == path.stat().st_mode & 0o777
    assert 0o700 == path.parent.stat().st_mode & 0o777
    connection = sqlite3.connect(path)
    assert ("wal",) == connection.execute("PRAGMA journal_mode").fetchone()
    connection.close()


def test_sqlite_cannot_be_made_where_we_may_not_write(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    database = open_database(f"sqlite:///{tmp_path}/file/pullpass.db")

    with pytest.raises(DatabaseUnavailable, match="file"):
        database.migrate()

    database.close()


def test_an_error_names_no_value_of_its_statement(
    database: Database, admin: Principal, stored: Cluster
) -> None:
    duplicate = {"uid": stored.uid, "shard": 0, "version": 1, "generation": 1, "connected": False}
    times = {"created": NOW, "last_modified": NOW}
    texts = dict.fromkeys(("org", "name", "manifest", "settings"), "secret")

    def store() -> None:
        with database.write() as session:
            session.execute(tables.clusters.insert(), duplicate | times | texts)

    with pytest.raises(IntegrityError) as failed:
        store()

    assert "secret" not in str(failed.value)


def test_foreign_keys_hold(database: Database) -> None:
    def orphan() -> None:
        with database.write() as session:
            session.execute(tables.work.insert(), {"cluster_uid": "gone", "shard": 0, "generation": 1})

    with pytest.raises(IntegrityError, match=r"(?i)foreign key"):
        orphan()


def test_a_time_without_a_zone_is_refused(database: Database, admin: Principal, wish: Wish) -> None:
    with pytest.raises(StatementError, match="time zone"):
        clusters.put(database, admin, ClusterKey("acme", "a"), wish, now=NOW.replace(tzinfo=None))
