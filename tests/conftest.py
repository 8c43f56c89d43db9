"""Fixtures that several test folders share. Real parts are started once a session and only when asked for."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import botocore.session
import pytest
from botocore.loaders import create_loader

from fleet.database import Database
from fleet.sealing import Sealer
from tests.support import certificates
from tests.support.kubernetes import Etcd, RealCluster


@pytest.fixture(scope="session", autouse=True)
def aws_models() -> Iterator[None]:
    """boto3's models of AWS's services, read once for all sessions: that takes most of the time that a client costs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.session, "create_loader", cache(create_loader))
        yield


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database file as after the first start: to migrate one for each test would take longer than most tests."""
    path = tmp_path_factory.mktemp("database") / "fleet.db"
    made = Database(f"sqlite:///{path}", sealer=Sealer((bytes(32),)))
    made.migrate()
    made.close()
    return path


@pytest.fixture
def database(migrated: Path, tmp_path: Path) -> Iterator[Database]:
    """An empty fleet of this test's own."""
    copy = tmp_path / "fleet.db"
    shutil.copy(migrated, copy)
    opened = Database(f"sqlite:///{copy}", sealer=Sealer((bytes(32),)))
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def signing_key() -> str:
    """For the tokens of the sandbox's clusters: each would make its own, which takes a tenth of a second."""
    return certificates.signing_key()


@pytest.fixture(scope="session")
def etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Etcd]:
    """One etcd for every real API server of the session."""
    server = Etcd(tmp_path_factory.mktemp("etcd"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def real_cluster(tmp_path_factory: pytest.TempPathFactory, etcd: Etcd) -> Iterator[RealCluster]:
    """A real API server with its controller manager, shared by all tests that leave it as they found it."""
    cluster = RealCluster("shared", tmp_path_factory.mktemp("kubernetes"), etcd, controller_manager=True)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
