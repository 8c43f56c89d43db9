"""A console for each test, on a copy of one migrated database."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet.database import Database
from fleet.sealing import Sealer
from tests.support.console import Browser, Console, make_console

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
def console(database: Database) -> Console:
    return make_console(database)


@pytest.fixture
def browser(console: Console) -> Browser:
    """Signed in as an admin."""
    return console.browser()
