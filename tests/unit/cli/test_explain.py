"""Issues explained without a hub, for every code there is."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner, Result

from cli.explain import section
from cli.main import main
from schemas.issues import KINDS


def explain(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["explain", *arguments])


@pytest.mark.parametrize("code", KINDS)
def test_every_issue_has_its_reason_and_its_steps(code: str) -> None:
    why, steps = section(code)
    assert why
    assert "Do:" in steps
    assert "](" not in why + steps


def test_an_issue_is_explained_whatever_its_case() -> None:
    result = explain("trustpolicymismatch")
    assert 0 == result.exit_code
    assert all(words in result.output for words in ("TrustPolicyMismatch", "Not authorized", "Remedy"))


def test_all_issues_are_listed_without_one() -> None:
    assert list(KINDS) == explain("-o", "name").output.split()


def test_an_explanation_as_json_holds_all_its_parts() -> None:
    document = json.loads(explain("TokenExpired", "-o", "json").output)
    assert {"code", "message", "why", "steps", "remedy"} == document.keys()


def test_a_word_that_is_nearly_an_issue_is_wrong_usage_with_a_guess() -> None:
    result = explain("TrustPolicyMissmatch")
    assert (2, True) == (result.exit_code, "did you mean TrustPolicyMismatch" in result.output)
