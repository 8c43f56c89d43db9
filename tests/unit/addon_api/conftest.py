"""A hub for each test."""

from __future__ import annotations

import pytest

from fleet.database import Database
from tests.support.hub import Hub, make_hub


@pytest.fixture
def hub(database: Database) -> Hub:
    return make_hub(database)
