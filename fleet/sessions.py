"""Browsers that are signed in to the console: opened with a token or a link, stored hashed, ended by themselves.

A session never outlives its token: whoever revokes a token ends its sessions. Used by `web`; `cli` makes links.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import bindparam, delete, insert, or_, select, update

from fleet import tables
from fleet.database import Database
from fleet.records import Principal, Role

LIFE = timedelta(hours=12)
LINK_LIFE = timedelta(minutes=30)
_SEEN_EVERY = timedelta(minutes=1)
_BROWSER_LENGTH = 200

_sessions = tables.sessions.c
_links = tables.sign_in_links.c
_tokens = tables.tokens.c

_VALID_TOKEN = (
    _tokens.revoked.is_(False),
    or_(_tokens.expires_at.is_(None), _tokens.expires_at > bindparam("now")),
)
_BY_HASH = (
    select(_sessions.id, _sessions.last_seen, _tokens.id, _tokens.name, _tokens.org, _tokens.role)
    .join(tables.tokens, _tokens.id == _sessions.token_id)
    .where(_sessions.hash == bindparam("hash"), _sessions.expires_at > bindparam("now"), *_VALID_TOKEN)
)
_OF_TOKEN = (
    select(_sessions.id, _sessions.created, _sessions.last_seen, _sessions.expires_at, _sessions.browser)
    .where(_sessions.token_id == bindparam("token_id"), _sessions.expires_at > bindparam("now"))
    .order_by(_sessions.last_seen.desc(), _sessions.id)
)
_SEEN = (
    update(tables.sessions)
    .where(_sessions.id == bindparam("session_id"))
    .values(last_seen=bindparam("moment"))
)
_END = delete(tables.sessions).where(
    _sessions.id == bindparam("session_id"), _sessions.token_id == bindparam("token_id")
)
_SWEEP = delete(tables.sessions).where(_sessions.expires_at <= bindparam("now"))
_SWEEP_LINKS = delete(tables.sign_in_links).where(_links.expires_at <= bindparam("now"))
_LINK = (
    select(_tokens.id, _tokens.name, _tokens.org, _tokens.role)
    .join(tables.sign_in_links, _tokens.id == _links.token_id)
    .where(_links.hash == bindparam("hash"), _links.expires_at > bindparam("now"), *_VALID_TOKEN)
)
_USE_LINK = delete(tables.sign_in_links).where(_links.hash == bindparam("hash"))


@dataclass(frozen=True)
class Session:
    """A browser that is signed in, and as whom."""

    id: str
    principal: Principal


@dataclass(frozen=True)
class SessionRecord:
    """A session as listed: never what its cookie holds."""

    id: str
    created: datetime
    last_seen: datetime
    expires_at: datetime
    browser: str


def open_session(database: Database, principal: Principal, *, browser: str, now: datetime) -> str:
    """The text of a new session's cookie; `browser` is what it calls itself."""
    text = secrets.token_urlsafe(32)
    with database.write() as session:
        session.execute(_SWEEP, {"now": now})
        session.execute(
            insert(tables.sessions),
            {
                "id": tables.new_id(),
                "hash": _hash(text),
                "token_id": principal.token_id,
                "created": now,
                "last_seen": now,
                "expires_at": now + LIFE,
                "browser": browser[:_BROWSER_LENGTH],
            },
        )
    return text


def find(database: Database, text: str, *, now: datetime) -> Session | None:
    """Who the cookie signs in; None when it is unknown or has ended, with its token or by itself."""
    with database.read() as session:
        row = session.execute(_BY_HASH, {"hash": _hash(text), "now": now}).one_or_none()
    if row is None:
        return None
    session_id, last_seen, token_id, name, org, role = row
    if now - last_seen >= _SEEN_EVERY:
        with database.write(durable=False) as session:
            session.execute(_SEEN, {"session_id": session_id, "moment": now})
    return Session(session_id, Principal(token_id, name, org, Role(role)))


def page(database: Database, principal: Principal, *, now: datetime) -> tuple[SessionRecord, ...]:
    """The sessions of one token, the last seen first."""
    with database.read() as session:
        rows = session.execute(_OF_TOKEN, {"token_id": principal.token_id, "now": now}).all()
    return tuple(SessionRecord(*row) for row in rows)


def end(database: Database, principal: Principal, session_id: str) -> bool:
    """False when the token has no such session."""
    with database.write() as session:
        ended = session.execute(_END, {"session_id": session_id, "token_id": principal.token_id})
    return ended.rowcount > 0


def make_link(database: Database, principal: Principal, *, now: datetime) -> str:
    """The code of a link that signs in once, within half an hour."""
    code = secrets.token_urlsafe(24)
    with database.write() as session:
        session.execute(_SWEEP_LINKS, {"now": now})
        session.execute(
            insert(tables.sign_in_links),
            {"hash": _hash(code), "token_id": principal.token_id, "expires_at": now + LINK_LIFE},
        )
    return code


def link_of(database: Database, code: str, *, now: datetime) -> Principal | None:
    """Whom a link would sign in; looking does not use it up."""
    with database.read() as session:
        row = session.execute(_LINK, {"hash": _hash(code), "now": now}).one_or_none()
    return None if row is None else Principal(row[0], row[1], row[2], Role(row[3]))


def use_link(database: Database, code: str, *, now: datetime) -> Principal | None:
    """Whom the link signs in; None when it was used, has expired or never was."""
    with database.write() as session:
        row = session.execute(_LINK, {"hash": _hash(code), "now": now}).one_or_none()
        used = session.execute(_USE_LINK, {"hash": _hash(code)}).rowcount
    return None if row is None or not used else Principal(row[0], row[1], row[2], Role(row[3]))


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode(errors="surrogatepass")).digest()
