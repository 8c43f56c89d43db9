"""The commands that run beside the database, each test with a data directory of its own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from cli import settings
from fleet.database import Database
from fleet.sealing import Sealer
from tests.support.hub import make_hub
from tests.unit.cli.served import Shell, serving


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


@pytest.fixture
def shell(migrated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    for name in ("PULLPASS_ENDPOINT", "PULLPASS_TOKEN", "PULLPASS_ORG"):
        monkeypatch.delenv(name, raising=False)
    shutil.copy(migrated, tmp_path / "served.db")
    opened = Database(f"sqlite:///{tmp_path}/served.db", sealer=Sealer((bytes(32),)))
    hub = make_hub(opened)
    with serving(hub) as endpoint:
        environment = {
            "XDG_CONFIG_HOME": str(tmp_path / "config"),
            "PULLPASS_ENDPOINT": endpoint,
            "PULLPASS_ORG": "acme",
            "PULLPASS_TOKEN": hub.admin,
        }
        yield Shell(hub, endpoint, environment)
    opened.close()
