"""The commands that run beside the database, each test with a data directory of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from cli import settings
from fleet.database import Database
from fleet.sealing import Sealer


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in settings.VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PULLPASS_DATA_DIRECTORY", str(tmp_path))
    monkeypatch.setenv("PULLPASS_PUBLIC_URL", "https://pullpass.example.com")
    return tmp_path


@pytest.fixture
def runner(data: Path) -> CliRunner:
    return CliRunner()


@pytest.fixture
def database(data: Path) -> Iterator[Database]:
    opened = Database(f"sqlite:///{data}/pullpass.db", sealer=Sealer.from_file(data / "sealing.key"))
    opened.migrate()
    yield opened
    opened.close()
