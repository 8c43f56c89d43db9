"""Bearer tokens: shown once, stored hashed, each with an organisation and a role."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from fleet.database import Database
from fleet.records import Principal, Role


@dataclass(frozen=True)
class TokenRecord:
    """A token as listed: never its text."""

    id: str
    name: str
    org: str
    role: Role
    created: datetime
    expires_at: datetime | None


def issue(
    database: Database,
    *,
    org: str,
    role: Role,
    name: str,
    now: datetime,
    expires_at: datetime | None = None,
    text: str | None = None,
) -> str:
    """The text of a new token (`pp_…`), or `text` itself (for bootstrap; issuing it again changes nothing)."""
    raise NotImplementedError


def authenticate(database: Database, text: str, *, now: datetime) -> Principal | None:
    """Who the token is; None when unknown, revoked or expired."""
    raise NotImplementedError


def revoke(database: Database, token_id: str) -> bool:
    """False when there was none."""
    raise NotImplementedError


def page(database: Database, org: str) -> tuple[TokenRecord, ...]:
    """The tokens of `org`."""
    raise NotImplementedError
