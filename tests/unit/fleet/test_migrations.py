"""Migrations: by code alone, once, under a lock, and to exactly the tables that the code speaks of."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from zipfile import ZipFile

import pytest
from alembic.autogenerate import compare_metadata
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from sqlalchemy import delete, select, update
from sqlalchemy.exc import ProgrammingError

from fleet import clusters, connections, statuses, tables
from fleet.clusters import Wish
from fleet.database import Database
from fleet.errors import DatabaseUnavailable, FleetError
from fleet.records import ClusterKey, Principal
from fleet.shards import SHARDS
from schemas.status import AddOnStatus, ClusterStatus, Issue, State
from tests.support.programs import REPOSITORY
from tests.unit.fleet.samples import CONNECTION, NOW, ecr_manifest, open_database, start_python

MIGRATE = """
import sys
from fleet.database import Database
from fleet.sealing import Sealer
database = Database(sys.argv[1], sealer=Sealer((b"k" * 32,)))
sys.stdin.readline()
database.migrate()
print(database.hub_id())
database.close()
"""


def test_the_migrated_schema_is_the_one_the_code_speaks_of(database: Database) -> None:
    options = {"compare_type": True, "compare_server_default": True}
    with database.read() as session:
        context = MigrationContext.configure(session, opts=options)

        assert [] == compare_metadata(context, tables.metadata)


def test_migrating_again_changes_nothing(database: Database) -> None:
    before = database.hub_id()

    database.migrate()

    with database.read() as session:
        assert [before] == session.execute(tables.hub.select()).scalars().all()
        assert SHARDS == len(session.execute(tables.shards.select()).all())


def test_four_processes_that_start_together_migrate_once(empty_url: str) -> None:
    processes = [start_python(MIGRATE, empty_url) for _ in range(4)]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    outputs = [process.communicate(timeout=60)[0].strip() for process in processes]

    assert [0] * 4 == [process.returncode for process in processes]
    assert 26 == len(outputs[0])
    assert 1 == len(set(outputs))


def test_a_migration_that_fails_leaves_nothing(empty_url: str) -> None:
    database = open_database(empty_url)
    with database.write() as session:
        session.exec_driver_sql("CREATE TABLE tokens (id text)")

    with pytest.raises((DatabaseUnavailable, ProgrammingError), match="tokens"):
        database.migrate()

    with database.read() as session:
        names = database.engine.dialect.get_table_names(session)
    database.close()
    assert ["tokens"] == names


def test_a_database_of_a_newer_release_is_refused(database: Database) -> None:
    with database.write() as session:
        session.exec_driver_sql("UPDATE alembic_version SET version_num = 'newer'")

    with pytest.raises(FleetError, match="newer release"):
        database.migrate()


def test_a_database_that_nobody_migrated_is_unavailable(empty_url: str) -> None:
    database = open_database(empty_url)

    with pytest.raises(DatabaseUnavailable):
        database.ping()

    database.close()


def test_the_console_s_columns_are_filled_in_for_clusters_that_are_there(
    database: Database, admin: Principal, hold_shards: Callable[[str], tuple[int, int]]
) -> None:
    issue = Issue("EcrAccessDenied", "", "")
    ends = {"credentials": {"expiresAt": "2026-11-22T12:00:00Z"}, "nodes": {"tokenExpiresAt": None}}
    failed = AddOnStatus(State.FAILED, issues=(issue, issue), details=ends)
    told = {
        "installing": ClusterStatus(),
        "failed": ClusterStatus(issues=(Issue("ConnectionExpiring", "", ""),), add_ons={"awsECR": failed}),
        "unconnected": None,
        "removing": ClusterStatus(),
    }
    for name, status in told.items():
        key = ClusterKey("acme", name)
        wish = Wish({**ecr_manifest(name), "description": "Odd \x00 \ud800", "tags": {"team": "shop"}})
        cluster = clusters.create(database, admin, key, wish, now=NOW).cluster
        if status is not None:
            connections.put(database, admin, key, CONNECTION, now=NOW)
            shard, epoch = hold_shards(cluster.uid)
            statuses.write(database, cluster.uid, status, [], shard=shard, epoch=epoch, now=NOW)
    clusters.remove(database, admin, ClusterKey("acme", "removing"), now=NOW)
    columns = tables.clusters.c
    filled = select(columns.name, columns.standing, columns.search, columns.credentials_expire_at).order_by(
        columns.name
    )
    with database.read() as session:
        before = session.execute(filled).all(), set(session.execute(select(tables.cluster_issues)).all())
    with database.write() as session:
        session.execute(
            update(tables.clusters).values(standing=None, search=None, credentials_expire_at=None)
        )
        session.execute(delete(tables.cluster_issues))

    with database.write() as session, Operations.context(MigrationContext.configure(session)):
        import_module("fleet.migrations.versions.r0003_console")._fill_in()

    with database.read() as session:
        after = session.execute(filled).all(), set(session.execute(select(tables.cluster_issues)).all())
    assert before == after
    assert {
        "installing": "Installing",
        "failed": "Failed",
        "unconnected": "NotConnected",
        "removing": "Removing",
    } == {row.name: row.standing for row in after[0]}


def test_the_migrations_run_out_of_an_installed_wheel(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path],
        cwd=REPOSITORY,
        check=True,
        capture_output=True,
    )
    [wheel] = tmp_path.glob("*.whl")
    with ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "installed")

    result = subprocess.run(
        [sys.executable, "-c", MIGRATE, f"sqlite:///{tmp_path}/pullpass.db"],
        cwd=tmp_path / "installed",
        env={**os.environ, "PYTHONPATH": str(tmp_path / "installed"), "PYTHONSAFEPATH": "1"},
        input="go\n",
        capture_output=True,
        text=True,
        check=False,
    )

    assert "" == result.stderr
    assert 26 == len(result.stdout.strip())
