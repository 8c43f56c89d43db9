"""Bearer tokens: hashed, listed without their text, and dead for good once revoked."""

from __future__ import annotations

from datetime import timedelta

import pytest

from fleet import tokens
from fleet.database import Database
from fleet.records import Role
from schemas.errors import Conflict
from tests.unit.fleet.samples import NOW

MINUTE = timedelta(minutes=1)


def issue(database: Database, text: str | None = None) -> str:
    return tokens.issue(database, org="acme", role=Role.EDITOR, name="ci", now=NOW, text=text)


def test_a_token_tells_who_it_is(database: Database) -> None:
    principal = tokens.authenticate(database, issue(database), now=NOW)

    assert principal is not None
    assert ("ci", "acme", Role.EDITOR) == (principal.name, principal.org, principal.role)


def test_a_token_has_a_prefix_and_256_random_bits(database: Database) -> None:
    text = issue(database)

    assert text.startswith("pp_")
    assert 43 == len(text.removeprefix("pp_"))
    assert text != issue(database)


@pytest.mark.parametrize("text", ["", "pp_unknown", "\x00", "\ud800", "ü" * 5000])
def test_an_unknown_token_is_nobody(database: Database, text: str) -> None:
    assert tokens.authenticate(database, text, now=NOW) is None


def test_the_text_is_nowhere_in_the_database(database: Database) -> None:
    text = issue(database)

    with database.read() as session:
        row = session.exec_driver_sql("SELECT * FROM tokens").one()

    assert text not in repr(tuple(row))


def test_a_token_ends_when_it_expires(database: Database) -> None:
    text = tokens.issue(
        database, org="acme", role=Role.VIEWER, name="short", now=NOW, expires_at=NOW + MINUTE
    )

    assert tokens.authenticate(database, text, now=NOW) is not None
    assert tokens.authenticate(database, text, now=NOW + MINUTE) is None


def test_a_chosen_text_issued_again_changes_nothing(database: Database) -> None:
    issue(database, "pp_bootstrap")
    before = tokens.page(database, "acme")

    again = tokens.issue(
        database, org="other", role=Role.ADMIN, name="other", now=NOW + MINUTE, text="pp_bootstrap"
    )

    assert "pp_bootstrap" == again
    assert before == tokens.page(database, "acme")
    assert () == tokens.page(database, "other")


def test_a_revoked_token_is_nobody(database: Database) -> None:
    text = issue(database)
    [listed] = tokens.page(database, "acme")

    assert tokens.revoke(database, listed.id)

    assert tokens.authenticate(database, text, now=NOW) is None
    assert () == tokens.page(database, "acme")


def test_revoking_again_tells_that_there_was_none(database: Database) -> None:
    issue(database)
    [listed] = tokens.page(database, "acme")
    tokens.revoke(database, listed.id)

    assert not tokens.revoke(database, listed.id)
    assert not tokens.revoke(database, "nobody")


def test_a_revoked_text_never_comes_back(database: Database) -> None:
    issue(database, "pp_bootstrap")
    [listed] = tokens.page(database, "acme")
    tokens.revoke(database, listed.id)

    with pytest.raises(Conflict, match="revoked"):
        issue(database, "pp_bootstrap")


def test_tokens_are_listed_for_their_organisation_alone(database: Database) -> None:
    issue(database)
    tokens.issue(database, org="other", role=Role.ADMIN, name="theirs", now=NOW)

    assert [("ci", "acme", Role.EDITOR, NOW, None)] == [
        (token.name, token.org, token.role, token.created, token.expires_at)
        for token in tokens.page(database, "acme")
    ]
