"""A hub for each test, on a copy of one migrated database."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet.database import Database
from fleet.sealing import Sealer
from tests.support.hub import Hub, make_hub

SEALER = Sealer((bytes(32),))


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database file as after the first start."""
    path = tmp_path_factory.mktemp("database") / "fleet.db"
    database = Database(f"sqlite:///{path}", sealer=SEALER)
    database.migrate()
    database.close()
    return path


@pytest.fixture
def database(migrated: Path, tmp_path: Path) -> Iterator[Database]:
    copy = tmp_path / "fleet.db"
    shutil.copy(migrated, copy)
    opened = Database(f"sqlite:///{copy}", sealer=SEALER)
    yield opened
    opened.close()


@pytest.fixture
def hub(database: Database) -> Hub:
    return make_hub(database)
