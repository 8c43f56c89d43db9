"""A console for each test."""

from __future__ import annotations

import pytest

from fleet.database import Database
from tests.support.console import Browser, Console, make_console


@pytest.fixture
def console(database: Database) -> Console:
    return make_console(database)


@pytest.fixture
def browser(console: Console) -> Browser:
    """Signed in as an admin."""
    return console.browser()
