from __future__ import annotations

import json
from datetime import timedelta

from click.testing import CliRunner, Result

from cli import wiring
from cli.main import main
from fleet import tokens
from fleet.database import Database
from fleet.records import Role


def issue(runner: CliRunner, *options: str) -> str:
    return runner.invoke(main, ["tokens", "issue", "--org", "acme", "--name", "ci", *options]).output.strip()


def listed(runner: CliRunner) -> list[dict[str, str]]:
    output = runner.invoke(main, ["tokens", "list", "--org", "acme", "-o", "json"]).output
    found: list[dict[str, str]] = json.loads(output)
    return found


def revoke(runner: CliRunner, token_id: str) -> Result:
    return runner.invoke(main, ["tokens", "revoke", token_id])


def test_an_issued_token_is_who_was_named(runner: CliRunner, database: Database) -> None:
    principal = tokens.authenticate(database, issue(runner, "--role", "editor"), now=wiring.now())
    assert principal is not None
    assert ("ci", "acme", Role.EDITOR) == (principal.name, principal.org, principal.role)


def test_a_token_with_days_dies_after_them(runner: CliRunner, database: Database) -> None:
    text = issue(runner, "--days", "2")
    assert None is tokens.authenticate(database, text, now=wiring.now() + timedelta(days=3))


def test_the_list_never_holds_a_tokens_text(runner: CliRunner) -> None:
    text = issue(runner)
    assert text not in runner.invoke(main, ["tokens", "list", "--org", "acme"]).output


def test_a_revoked_token_opens_nothing(runner: CliRunner, database: Database) -> None:
    text = issue(runner)
    assert 0 == revoke(runner, listed(runner)[0]["id"]).exit_code
    assert None is tokens.authenticate(database, text, now=wiring.now())


def test_revoking_what_there_is_not_fails_and_says_so(runner: CliRunner) -> None:
    result = revoke(runner, "nobody")
    assert (1, True) == (result.exit_code, "nobody" in result.output)


def test_an_empty_list_says_how_to_issue_one(runner: CliRunner) -> None:
    result = runner.invoke(main, ["tokens", "list", "--org", "acme"])
    assert "pullpass tokens issue --org acme" in result.output
