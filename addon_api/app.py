"""The REST API as a Flask app: `create_app` wires routes, the one error exit and the request id.

Called by `cli` (gunicorn) and by the tests.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from flask import Flask

from fleet.database import Database


@dataclass(frozen=True)
class ApiSettings:
    """`public_url`: where AWS reaches this hub (https), None when it cannot; `trust_policy_quota`: characters.

    `allow_loopback`: connections to loopback API servers are taken (development only).
    """

    public_url: str | None = None
    trust_policy_quota: int = 2048
    allow_loopback: bool = False
    max_body_bytes: int = 1_048_576


def create_app(database: Database, settings: ApiSettings, *, now: Callable[[], datetime]) -> Flask:
    """The app; opens nothing and starts no thread."""
    raise NotImplementedError
