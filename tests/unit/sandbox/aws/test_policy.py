"""IAM policies as the sandbox reads them."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.aws.policy import allows, matches, trusts

PROVIDER = "arn:aws:iam::123456789012:oidc-provider/acme.com/1"
CLAIMS = {"acme.com/1:aud": "sts.amazonaws.com", "acme.com/1:sub": "system:serviceaccount:default:web"}


def statement(**members: Any) -> dict[str, Any]:
    return {
        "Effect": "Allow",
        "Principal": {"Federated": PROVIDER},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {"StringEquals": CLAIMS},
    } | members


def policy(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"Action": ["sts:TagSession", "sts:assumerolewithwebidentity"]},
        {"Action": "sts:*"},
        {"Principal": {"Federated": ["other", PROVIDER]}},
        {"Condition": {}},
        {"Condition": {"StringEquals": {"ACME.com/1:SUB": ["other", CLAIMS["acme.com/1:sub"]]}}},
        {"Condition": {"StringLike": {"acme.com/1:sub": "system:serviceaccount:*"}}},
        {"Condition": {"StringLike": {"acme.com/1:sub": "system*:we?"}}},
        {"Condition": {"StringEqualsIgnoreCase": {"acme.com/1:aud": "STS.amazonaws.com"}}},
    ],
)
def test_a_statement_that_fits_trusts(members: dict[str, Any]) -> None:
    assert trusts(policy(statement(**members)), PROVIDER, CLAIMS)


@pytest.mark.parametrize(
    "members",
    [
        {"Effect": "Deny"},
        {"Action": "sts:AssumeRole"},
        {"Principal": {"Federated": "arn:aws:iam::123456789012:oidc-provider/acme.com/2"}},
        {"Principal": {"AWS": "*"}},
        {"Condition": {"StringEquals": {"acme.com/1:sub": "system:serviceaccount:default:WEB"}}},
        {"Condition": {"StringEquals": {"acme.com/1:sub": "system:serviceaccount:*"}}},
        {"Condition": {"StringEquals": {"acme.com/1/:sub": CLAIMS["acme.com/1:sub"]}}},
        {"Condition": {"StringEquals": {"acme.com/1:amr": "x"}}},
        {"Condition": {"StringEquals": CLAIMS, "StringLike": {"acme.com/1:sub": "other*"}}},
        {"Condition": {"StringMisspelt": CLAIMS}},
    ],
)
def test_a_statement_that_does_not_fit_does_not_trust(members: dict[str, Any]) -> None:
    assert not trusts(policy(statement(**members)), PROVIDER, CLAIMS)


def test_one_statement_that_fits_is_enough() -> None:
    assert trusts(policy(statement(Action="x"), statement()), PROVIDER, CLAIMS)


def test_a_deny_wins() -> None:
    assert not trusts(policy(statement(), statement(Effect="Deny")), PROVIDER, CLAIMS)


def test_a_single_statement_may_stand_alone() -> None:
    assert trusts({"Statement": statement()}, PROVIDER, CLAIMS)


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [("a*c", "a:/c", True), ("a?c", "abc", True), ("a.c", "abc", False), ("a", "ab", False), ("*", "", True)],
)
def test_globs_are_those_of_iam(pattern: str, text: str, expected: bool) -> None:
    assert expected == matches(pattern, text)


def test_what_a_role_may_do_is_bound_to_resources() -> None:
    allowed = {
        "Effect": "Allow",
        "Action": "ecr:Batch*",
        "Resource": "arn:aws:ecr:*:123456789012:repository/team/*",
    }
    repository = "arn:aws:ecr:eu-west-1:123456789012:repository"
    assert allows([policy(allowed)], "ecr:BatchGetImage", f"{repository}/team/app")
    assert not allows([policy(allowed)], "ecr:BatchGetImage", f"{repository}/other/app")
    assert not allows([policy(allowed)], "ecr:GetAuthorizationToken", "*")
