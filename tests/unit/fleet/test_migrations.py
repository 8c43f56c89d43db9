"""Migrations: by code alone, once, under a lock, and to exactly the tables that the code speaks of."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy.exc import ProgrammingError

from fleet import tables
from fleet.database import Database
from fleet.errors import DatabaseUnavailable, FleetError
from fleet.shards import SHARDS
from tests.support.programs import REPOSITORY
from tests.unit.fleet.samples import open_database, start_python

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
