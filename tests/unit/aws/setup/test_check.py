"""Judging an account by what it lets happen, not by the form of its documents."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from aws import registry_hosts
from aws.arns import parse_role
from aws.setup.check import Part, compare
from aws.setup.iam_state import IamState, ProviderState, RoleState
from aws.setup.wanted import Permissions, TrustedCluster, Wanted
from aws.trust_policy import TrustedWorkload

ROLE = parse_role("arn:aws:iam::123456789012:role/pull")
ISSUER = "https://oidc.example.com/demo"
KEY = "oidc.example.com/demo"
PROVIDER = "arn:aws:iam::123456789012:oidc-provider/oidc.example.com/demo"
SUBJECT = "system:serviceaccount:pullpass-system:pullpass-agent"
HOST = registry_hosts.parse("123456789012.dkr.ecr.eu-central-1.amazonaws.com")
assert HOST is not None
WANTED = Wanted(
    role=ROLE,
    organisation="acme",
    trusted=(TrustedCluster("u-1", "demo", TrustedWorkload(ISSUER, "sts.amazonaws.com", (SUBJECT,))),),
    permissions=Permissions(registries=(HOST,)),
)


def trusting(condition: dict[str, Any], **members: Any) -> dict[str, Any]:
    statement = {
        "Effect": "Allow",
        "Principal": {"Federated": PROVIDER},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": condition,
    }
    return {"Version": "2012-10-17", "Statement": statement | members}


def allowing(*actions: str, resource: str = "*", **members: Any) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": resource}
    return {"Version": "2012-10-17", "Statement": [statement | members]}


PINNED = {"StringEquals": {f"{KEY}:aud": "sts.amazonaws.com", f"{KEY}:sub": SUBJECT}}
GOOD = RoleState(str(ROLE), trusting(PINNED), inline={"any": allowing("ecr:*")})
STATE = IamState(
    "123456789012", providers={ISSUER: ProviderState(PROVIDER, ISSUER, ("sts.amazonaws.com",))}, role=GOOD
)


def parts(state: IamState, wanted: Wanted = WANTED) -> list[Part]:
    return [difference.part for difference in compare(wanted, state).differences]


def test_an_account_that_holds_all_has_no_difference() -> None:
    assert [] == parts(STATE)


@pytest.mark.parametrize(
    "condition",
    [
        {},
        {"StringLike": {f"{KEY}:sub": "system:serviceaccount:pullpass-*"}},
        {"StringEquals": {f"{KEY}:aud": ["x", "sts.amazonaws.com"]}, "StringLike": {f"{KEY}:sub": "*"}},
        {"StringEquals": {f"{KEY.upper()}:SUB": [SUBJECT, "another"]}},
    ],
)
def test_a_trust_policy_of_another_form_is_as_good(condition: dict[str, Any]) -> None:
    assert [] == parts(replace(STATE, role=replace(GOOD, trust_policy=trusting(condition))))


@pytest.mark.parametrize(
    "document",
    [
        trusting({"StringEquals": {f"{KEY}:sub": "system:serviceaccount:pullpass-*"}}),
        trusting({"StringEquals": {f"{KEY}:aud": "sts.amazonaws.com.cn"}}),
        trusting({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}),
        trusting(PINNED, Effect="Deny"),
        trusting(PINNED, Action="sts:AssumeRole"),
        trusting(PINNED, Principal={"Federated": f"{PROVIDER}/"}),
        trusting(PINNED, Principal="*"),
        {"Version": "2012-10-17", "Statement": []},
    ],
)
def test_a_trust_policy_that_does_not_surely_let_the_cluster_in(document: dict[str, Any]) -> None:
    assert [Part.TRUST] == parts(replace(STATE, role=replace(GOOD, trust_policy=document)))


def test_a_statement_that_denies_is_told_and_not_judged() -> None:
    denied = [trusting(PINNED)["Statement"], trusting(PINNED, Effect="Deny", Sid="No")["Statement"]]
    document = {"Version": "2012-10-17", "Statement": denied}
    found = compare(WANTED, replace(STATE, role=replace(GOOD, trust_policy=document)))
    assert ("statement No of the trust policy denies tokens, and may deny these",) == found.unjudged


def test_no_role_and_no_provider() -> None:
    assert [Part.PROVIDER, Part.TRUST] == parts(IamState("123456789012"))


def test_sessions_that_are_too_short() -> None:
    found = compare(replace(WANTED, max_session_seconds=7200), STATE).differences
    assert ["MaxSessionDuration is 3600 s; 7200 s are asked for"] == [each.message for each in found]


def test_a_policy_narrowed_to_some_repositories_is_fine_where_none_are_known() -> None:
    narrow = {
        "login": allowing("ecr:GetAuthorizationToken"),
        "pull": allowing(
            "ecr:BatchGetImage",
            "ecr:GetDownloadUrlForLayer",
            resource="arn:aws:ecr:eu-central-1:123456789012:repository/shop/*",
        ),
    }
    state = replace(STATE, role=replace(GOOD, inline=narrow))
    assert [] == parts(state)
    other = replace(WANTED.permissions, repositories=("team/web",))
    assert [Part.PERMISSIONS] * 2 == parts(state, replace(WANTED, permissions=other))


def test_a_policy_for_another_registry_is_none() -> None:
    elsewhere = allowing("ecr:*", resource="arn:aws:ecr:us-east-1:123456789012:repository/*")
    assert [Part.PERMISSIONS] * 3 == parts(replace(STATE, role=replace(GOOD, inline={"any": elsewhere})))


def test_a_deny_beats_what_is_allowed() -> None:
    denying = {**GOOD.inline, "no": allowing("ecr:BatchGetImage", Effect="Deny")}
    found = compare(WANTED, replace(STATE, role=replace(GOOD, inline=denying))).differences
    assert ["ecr:BatchGetImage on arn:aws:ecr:eu-central-1:123456789012:repository/* is denied"] == [
        each.message for each in found
    ]


def test_a_managed_policy_that_cannot_be_read_is_neither_good_nor_bad() -> None:
    role = replace(GOOD, inline={}, attached={"arn:aws:iam::123456789012:policy/ours": None})
    found = compare(WANTED, replace(STATE, role=role))
    assert ((), ("arn:aws:iam::123456789012:policy/ours could not be read",)) == (
        found.differences,
        found.unjudged,
    )


def test_a_permissions_boundary_is_told() -> None:
    role = replace(GOOD, boundary="arn:aws:iam::123456789012:policy/edge")
    assert 1 == len(compare(WANTED, replace(STATE, role=role)).unjudged)


@pytest.mark.parametrize("repositories", [("*",), ("shop/*", "team/web")])
def test_what_setup_makes_has_no_difference(repositories: tuple[str, ...]) -> None:
    wanted = replace(WANTED, permissions=replace(WANTED.permissions, repositories=repositories))
    assert wanted.inline_policy is not None
    made = RoleState(str(ROLE), wanted.trust_policy, inline={"pullpass-pull": wanted.inline_policy})
    assert [] == parts(replace(STATE, role=made), wanted)
