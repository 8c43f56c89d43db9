"""A migrated database of each kind for every test, migrated once a session."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fleet import clusters, connections, shards, tokens
from fleet.clusters import Wish
from fleet.database import Database
from fleet.records import Cluster, ClusterKey, Principal, Role
from tests.support.postgresql import PostgreSql
from tests.unit.fleet.samples import CONNECTION, NOW, manifest, open_database


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSql]:
    server = PostgreSql()
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def postgresql_migrated(postgresql: PostgreSql) -> str:
    name = postgresql.create()
    database = open_database(postgresql.url(name))
    database.migrate()
    database.close()
    postgresql.keep(name)
    return name


@pytest.fixture
def postgresql_url(postgresql: PostgreSql, postgresql_migrated: str) -> Iterator[str]:
    yield postgresql.url(postgresql_migrated)
    postgresql.restore(postgresql_migrated)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "pullpass.db"
    database = open_database(f"sqlite:///{path}")
    database.migrate()
    database.close()
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database that nobody migrated."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/pullpass.db"
    else:
        server: PostgreSql = request.getfixturevalue("postgresql")
        with server.database() as url:
            yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A migrated database."""
    if request.param == "sqlite":
        template: Path = request.getfixturevalue("sqlite_template")
        shutil.copy(template, tmp_path / "pullpass.db")
        yield f"sqlite:///{tmp_path}/pullpass.db"
    else:
        yield request.getfixturevalue("postgresql_url")


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    opened = open_database(url)
    yield opened
    opened.close()


@pytest.fixture
def second(url: str) -> Iterator[Database]:
    """The same database as another process sees it."""
    opened = open_database(url)
    yield opened
    opened.close()


@pytest.fixture
def admin(database: Database) -> Principal:
    text = tokens.issue(database, org="acme", role=Role.ADMIN, name="alice", now=NOW)
    principal = tokens.authenticate(database, text, now=NOW)
    assert principal is not None
    return principal


@pytest.fixture
def demo() -> ClusterKey:
    return ClusterKey("acme", "demo")


@pytest.fixture
def wish() -> Wish:
    return Wish(manifest())


@pytest.fixture
def stored(database: Database, admin: Principal, demo: ClusterKey, wish: Wish) -> Cluster:
    """Cluster demo, without a connection."""
    return clusters.put(database, admin, demo, wish, now=NOW).cluster


@pytest.fixture
def connected(database: Database, admin: Principal, demo: ClusterKey, stored: Cluster) -> Cluster:
    """Cluster demo, with a connection."""
    connections.put(database, admin, demo, CONNECTION, now=NOW)
    return clusters.read(database, demo)


@pytest.fixture
def hold_shards(database: Database) -> Callable[[str], tuple[int, int]]:
    """Leases every shard; gives shard and epoch of a uid."""

    def hold(uid: str) -> tuple[int, int]:
        epochs = shards.heartbeat(database, "controller", now=NOW)
        shard = shards.shard_of(uid)
        return shard, epochs[shard]

    return hold
