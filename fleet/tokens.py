"""Bearer tokens: shown once, stored hashed, each with an organisation and a role.

Issued by `cli`, checked by `addon_api` on each request. A token is 256 random bits, so one fast hash (SHA-256) is
as good as a slow one: there is nothing to guess.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import bindparam, select, update

from fleet import tables
from fleet.database import Database, insert_or_ignore
from fleet.records import Principal, Role
from schemas.errors import Conflict

_tokens = tables.tokens.c
_BY_HASH = select(
    _tokens.id, _tokens.name, _tokens.org, _tokens.role, _tokens.expires_at, _tokens.revoked, _tokens.hash
).where(_tokens.hash == bindparam("hash"))
_OF_ORGANISATION = (
    select(_tokens.id, _tokens.name, _tokens.org, _tokens.role, _tokens.created, _tokens.expires_at)
    .where(_tokens.org == bindparam("org"), _tokens.revoked.is_(False))
    .order_by(_tokens.created, _tokens.id)
)
_REVOKE = (
    update(tables.tokens)
    .where(_tokens.id == bindparam("token_id"), _tokens.revoked.is_(False))
    .values(revoked=True)
)


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
    """The text of a new token (`pp_…`), or `text` itself (for bootstrap; issuing it again changes nothing).

    Raises:
        schemas.errors.Conflict: `text` was revoked, and a revoked token never comes back.
    """
    wanted = text if text is not None else f"pp_{secrets.token_urlsafe(32)}"
    row = {
        "id": tables.new_id(),
        "hash": _hash(wanted),
        "org": org,
        "name": name,
        "role": int(role),
        "created": now,
        "expires_at": expires_at,
        "revoked": False,
    }
    with database.write() as session:
        if not insert_or_ignore(session, tables.tokens, row):
            stored = session.execute(_BY_HASH, {"hash": row["hash"]}).one()
            if stored.revoked:
                raise Conflict("this token was revoked: choose another")
    return wanted


def authenticate(database: Database, text: str, *, now: datetime) -> Principal | None:
    """Who the token is; None when unknown, revoked or expired."""
    digest = _hash(text)
    with database.read() as session:
        row = session.execute(_BY_HASH, {"hash": digest}).one_or_none()
    if row is None:
        return None
    token_id, name, org, role, expires_at, revoked, stored = row
    if not hmac.compare_digest(digest, bytes(stored)) or revoked:
        return None
    if expires_at is not None and expires_at <= now:
        return None
    return Principal(token_id=token_id, name=name, org=org, role=Role(role))


def revoke(database: Database, token_id: str) -> bool:
    """False when there was none."""
    with database.write() as session:
        return session.execute(_REVOKE, {"token_id": token_id}).rowcount > 0


def page(database: Database, org: str) -> tuple[TokenRecord, ...]:
    """The tokens of `org` that were not revoked, oldest first."""
    with database.read() as session:
        rows = session.execute(_OF_ORGANISATION, {"org": org}).all()
    return tuple(
        TokenRecord(row.id, row.name, row.org, Role(row.role), row.created, row.expires_at) for row in rows
    )


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode(errors="surrogatepass")).digest()
