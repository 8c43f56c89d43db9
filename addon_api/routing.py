"""What a route is: one row of the table that Flask, the access check and OpenAPI are all made from.

Each module of routes exports `ROUTES`; `app` puts them together. A route cannot exist without saying who may
call it and what it answers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from flask import Response, current_app, g

from addon_api.metrics import Metrics
from fleet.database import Database
from fleet.records import Principal, Role


@dataclass(frozen=True)
class ApiSettings:
    """`public_url`: where AWS reaches this hub (https), None when it cannot; `trust_policy_quota`: characters.

    `aws_principal`: who the hub is in IAM, None where the operator has not said so.
    `allow_loopback`: connections to loopback API servers are taken (development only).
    """

    public_url: str | None = None
    trust_policy_quota: int = 2048
    aws_principal: str | None = None
    allow_loopback: bool = False
    max_body_bytes: int = 1_048_576


@dataclass(frozen=True)
class Route:
    """One method on one path.

    `role` is the smallest that may call it, None leaves it open to everybody. `body` and the values of `answers`
    name schemas of `openapi`; `query` maps each query parameter to what it does. `browsable` routes also take the
    token as the password of HTTP Basic, because a browser's address bar sends nothing else.
    """

    method: str
    path: str
    view: Callable[..., Response]
    role: Role | None
    summary: str
    answers: Mapping[int, str]
    body: str | None = None
    query: Mapping[str, str] = field(default_factory=dict)
    browsable: bool = False

    @property
    def endpoint(self) -> str:
        """The name Flask knows it by."""
        return f"{self.view.__module__.rpartition('.')[2]}.{self.view.__name__}"


@dataclass(frozen=True)
class Context:
    """What every view works with; made once by `create_app`."""

    database: Database
    settings: ApiSettings
    now: Callable[[], datetime]
    routes: Mapping[str, Route]
    metrics: Metrics


def context() -> Context:
    """The context of the app that serves this request."""
    found: Context = current_app.extensions["pullpass"]
    return found


def principal() -> Principal:
    """Who asks; only in a view whose route has a role."""
    found: Principal = g.principal
    return found
