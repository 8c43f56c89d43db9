"""Whether the owner of a registry lets a role of another account pull."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from aws import registry_hosts
from aws.arns import parse_role
from aws.setup.registry_sides import RegistryPolicies, compare
from aws.setup.wanted import OtherSide, Permissions, Wanted

ROLE = parse_role("arn:aws:iam::123456789012:role/pull")
HOST = registry_hosts.parse("210987654321.dkr.ecr.eu-central-1.amazonaws.com")
ARN = "arn:aws:ecr:eu-central-1:210987654321:repository"


def side(*repositories: str) -> OtherSide:
    assert HOST is not None
    (found,) = Wanted(
        ROLE, "acme", (), Permissions(registries=(HOST,), repositories=repositories)
    ).other_sides
    return found


def policy(principal: Any, resource: str | None = None, **members: Any) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Principal": principal, "Action": "ecr:*"} | members
    return {"Statement": [statement if resource is None else statement | {"Resource": resource}]}


def judged(
    registry: dict[str, Any], repositories: Mapping[str, dict[str, Any]], *names: str
) -> tuple[int, int]:
    found = compare(ROLE, side(*names), RegistryPolicies(registry, repositories))
    return len(found.differences), len(found.unjudged)


@pytest.mark.parametrize(
    "principal",
    [
        "*",
        {"AWS": str(ROLE)},
        {"AWS": ["x", "123456789012"]},
        {"AWS": "arn:aws:iam::123456789012:root"},
    ],
)
def test_either_policy_is_enough(principal: Any) -> None:
    assert (0, 0) == judged(policy(principal, f"{ARN}/shop/*"), {"shop/web": {}}, "shop/web")
    assert (0, 0) == judged({}, {"shop/web": policy(principal)}, "shop/web")


@pytest.mark.parametrize(
    "own",
    [
        {},
        policy({"AWS": "arn:aws:iam::123456789012:role/other"}),
        policy("*", Action="ecr:BatchGetImage"),
        policy("*", Effect="Deny"),
        policy("*", Condition={"StringEquals": {"aws:PrincipalOrgID": "o-1"}}),
    ],
)
def test_policies_that_do_not_surely_let_the_role_in(own: dict[str, Any]) -> None:
    assert (1, 0) == judged({}, {"shop/web": own}, "shop/web")


def test_the_remedy_keeps_the_statements_that_are_there() -> None:
    own = policy({"AWS": "arn:aws:iam::123456789012:role/other"})
    (found,) = compare(ROLE, side("shop/web"), RegistryPolicies({}, {"shop/web": own})).differences
    written = json.loads(found.values["POLICY"])
    assert own["Statement"][0] == written["Statement"][0]
    assert (0, 0) == judged({}, {"shop/web": written}, "shop/web")


def test_repositories_that_nobody_named_are_not_judged() -> None:
    assert (0, 1) == judged({}, {}, "*")
    assert (0, 0) == judged(policy("*", f"{ARN}/*"), {}, "*")
