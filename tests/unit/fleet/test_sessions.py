"""Sessions and links in the database: hashed, ended by themselves, never outliving their token."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from fleet import sessions, tables, tokens
from fleet.database import Database
from fleet.records import Principal, Role
from tests.unit.fleet.samples import NOW


@pytest.fixture
def owner(database: Database) -> Principal:
    return issue(database, "owner")


def issue(database: Database, name: str, *, expires: timedelta | None = None) -> Principal:
    text = tokens.issue(
        database,
        org="acme",
        role=Role.EDITOR,
        name=name,
        now=NOW,
        expires_at=None if expires is None else NOW + expires,
    )
    found = tokens.authenticate(database, text, now=NOW)
    assert found is not None
    return found


def test_a_session_is_found_by_its_cookie_as_its_tokens_owner(database: Database, owner: Principal) -> None:
    text = sessions.open_session(database, owner, browser="Firefox", now=NOW)
    found = sessions.find(database, text, now=NOW)
    assert found is not None
    assert owner == found.principal


def test_what_the_cookie_holds_is_not_stored(database: Database, owner: Principal) -> None:
    text = sessions.open_session(database, owner, browser="Firefox", now=NOW)
    code = sessions.make_link(database, owner, now=NOW)
    with database.read() as session:
        rows = [*session.execute(select(tables.sessions)), *session.execute(select(tables.sign_in_links))]
    assert not [row for row in rows if text in str(row) or code in str(row)]


@pytest.mark.parametrize("text", ["", "unknown", "\ud800", "x" * 10_000])
def test_any_other_text_finds_nothing(database: Database, owner: Principal, text: str) -> None:
    sessions.open_session(database, owner, browser="", now=NOW)
    assert None is sessions.find(database, text, now=NOW)


def test_a_session_ends_when_its_token_expires(database: Database) -> None:
    brief = issue(database, "brief", expires=timedelta(hours=1))
    text = sessions.open_session(database, brief, browser="", now=NOW)
    assert None is not sessions.find(database, text, now=NOW + timedelta(minutes=59))
    assert None is sessions.find(database, text, now=NOW + timedelta(hours=1))


def test_a_revoked_token_ends_its_sessions_and_links(database: Database, owner: Principal) -> None:
    text = sessions.open_session(database, owner, browser="", now=NOW)
    code = sessions.make_link(database, owner, now=NOW)
    tokens.revoke(database, owner.token_id)
    assert None is sessions.find(database, text, now=NOW)
    assert None is sessions.use_link(database, code, now=NOW)


def test_when_a_session_was_seen_last_is_written_once_a_minute(database: Database, owner: Principal) -> None:
    text = sessions.open_session(database, owner, browser="", now=NOW)
    seen = []
    for seconds in (59, 60, 61):
        sessions.find(database, text, now=NOW + timedelta(seconds=seconds))
        (listed,) = sessions.page(database, owner, now=NOW)
        seen.append((listed.last_seen - NOW).total_seconds())
    assert [0, 60, 60] == seen


def test_only_the_tokens_own_sessions_are_listed_and_ended(database: Database, owner: Principal) -> None:
    sessions.open_session(database, owner, browser="", now=NOW)
    (listed,) = sessions.page(database, owner, now=NOW)
    other = issue(database, "other")
    assert () == sessions.page(database, other, now=NOW)
    assert [False, True, False] == [sessions.end(database, who, listed.id) for who in (other, owner, owner)]


def test_sessions_that_have_ended_are_swept_away(database: Database, owner: Principal) -> None:
    sessions.open_session(database, owner, browser="", now=NOW)
    sessions.open_session(database, owner, browser="", now=NOW + sessions.LIFE)
    with database.read() as session:
        assert 1 == len(session.execute(select(tables.sessions)).all())


def test_a_link_signs_in_once(database: Database, owner: Principal) -> None:
    code = sessions.make_link(database, owner, now=NOW)
    assert [owner, owner, None, None] == [
        sessions.link_of(database, code, now=NOW),
        sessions.use_link(database, code, now=NOW),
        sessions.use_link(database, code, now=NOW),
        sessions.link_of(database, code, now=NOW),
    ]


def test_a_link_that_expired_is_used_up_without_signing_in(database: Database, owner: Principal) -> None:
    code = sessions.make_link(database, owner, now=NOW)
    assert None is sessions.use_link(database, code, now=NOW + sessions.LINK_LIFE)
    assert None is sessions.use_link(database, code, now=NOW)


def test_a_very_long_browser_name_is_cut(database: Database, owner: Principal) -> None:
    sessions.open_session(database, owner, browser="x" * 5000, now=NOW)
    (listed,) = sessions.page(database, owner, now=NOW)
    assert 200 == len(listed.browser)
