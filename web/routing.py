"""What a page is: one row of the table that Flask, the sign-in check and the tests are made from.

Each module of pages exports `PAGES`; `app` puts them together.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from flask import current_app, g
from werkzeug.wrappers import Response

from fleet.database import Database
from fleet.records import Principal, Role
from fleet.sessions import Session

if TYPE_CHECKING:
    from web.api import Api
    from web.assets import Assets

View = Callable[..., Response | str | tuple[str, int]]


@dataclass(frozen=True)
class Page:
    """One method on one path. `role` is the smallest that may ask for it; None: no sign-in is needed."""

    method: str
    path: str
    view: View
    role: Role | None = Role.VIEWER

    @property
    def endpoint(self) -> str:
        """The name Flask knows it by: `clusters.show`."""
        return f"{self.view.__module__.rpartition('.')[2]}.{self.view.__name__}"


@dataclass(frozen=True)
class Context:
    """What every page works with; made once by `create_console`."""

    database: Database
    api: Api
    assets: Assets
    now: Callable[[], datetime]


def context() -> Context:
    """The context of the console that serves this request."""
    found: Context = current_app.extensions["pullpass"]
    return found


def session() -> Session:
    """Who is signed in; only in a page that has a role."""
    found: Session = g.session
    return found


def principal() -> Principal:
    """As whom."""
    return session().principal


def org() -> str:
    """The organisation of whoever is signed in."""
    return principal().org
