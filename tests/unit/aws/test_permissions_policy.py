"""The permissions policy: a pull is allowed by it and nothing else is, as the sandbox's IAM reads it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aws.permissions_policy import permissions_policy
from aws.registry_hosts import RegistryHost, host_of, parse
from sandbox.aws.policy import allows

ACCOUNT, OTHER = "123456789012", "210987654321"
LOGIN, PULL, LAYER = "ecr:GetAuthorizationToken", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"
PUBLIC_LOGIN = {"ecr-public:GetAuthorizationToken", "sts:GetServiceBearerToken"}
PULL_THROUGH = {"ecr:BatchImportUpstreamImage", "ecr:CreateRepository"}


def registry(host: str) -> RegistryHost:
    found = parse(host)
    assert found is not None
    return found


FRANKFURT = registry(host_of(ACCOUNT, "eu-central-1"))
DUAL_STACK = registry(f"{ACCOUNT}.dkr-ecr.eu-central-1.on.aws")
BEIJING = registry(host_of(OTHER, "cn-north-1"))
PUBLIC = registry("public.ecr.aws")


def actions(policy: dict[str, Any]) -> set[str]:
    return {action for statement in policy["Statement"] for action in statement["Action"]}


def test_a_private_registry_needs_a_login_and_its_repositories() -> None:
    expected = {
        "Version": "2012-10-17",
        "Statement": [
            {"Sid": "Login", "Effect": "Allow", "Action": [LOGIN], "Resource": "*"},
            {
                "Sid": "Pull",
                "Effect": "Allow",
                "Action": [PULL, LAYER],
                "Resource": f"arn:aws:ecr:eu-central-1:{ACCOUNT}:repository/*",
            },
        ],
    }
    assert expected == permissions_policy([FRANKFURT])


def test_repositories_narrow_it() -> None:
    policy = permissions_policy([FRANKFURT], repositories=["team/*"])
    arn = f"arn:aws:ecr:eu-central-1:{ACCOUNT}:repository"
    assert allows([policy], PULL, f"{arn}/team/app")
    assert not allows([policy], PULL, f"{arn}/other/app")


def test_each_registry_stands_in_its_own_partition() -> None:
    policy = permissions_policy([FRANKFURT, BEIJING])
    assert allows([policy], LAYER, f"arn:aws-cn:ecr:cn-north-1:{OTHER}:repository/app")
    assert not allows([policy], LAYER, f"arn:aws:ecr:cn-north-1:{OTHER}:repository/app")


def test_ecr_public_alone_needs_nothing_private() -> None:
    policy = permissions_policy([PUBLIC])
    assert PUBLIC_LOGIN == actions(policy)
    assert all(allows([policy], action, "*") for action in PUBLIC_LOGIN)


def test_ecr_public_is_allowed_only_where_it_is_asked_for() -> None:
    assert actions(permissions_policy([FRANKFURT])).isdisjoint(PUBLIC_LOGIN)


def test_a_pull_through_cache_may_make_its_repositories_and_no_others() -> None:
    policy = permissions_policy([FRANKFURT], pull_through=["docker-hub"])
    arn = f"arn:aws:ecr:eu-central-1:{ACCOUNT}:repository"
    assert all(allows([policy], action, f"{arn}/docker-hub/library/nginx") for action in PULL_THROUGH)
    assert not any(allows([policy], action, f"{arn}/app") for action in PULL_THROUGH)


def test_without_a_registry_it_is_the_template() -> None:
    (_, pull) = permissions_policy([], partition="aws-us-gov")["Statement"]
    assert pull["Resource"] == "arn:aws-us-gov:ecr:${AWS_REGION}:${AWS_ACCOUNT_ID}:repository/*"


@given(st.permutations([FRANKFURT, DUAL_STACK, BEIJING, PUBLIC]), st.integers(0, 3))
def test_order_and_form_of_names_make_no_difference(order: list[RegistryHost], repeated: int) -> None:
    expected = permissions_policy([FRANKFURT, BEIJING, PUBLIC])
    assert json.dumps(expected) == json.dumps(permissions_policy([*order, order[repeated]]))


@pytest.mark.parametrize(
    "arguments",
    [
        {"repositories": []},
        {"repositories": ["Team"]},
        {"repositories": ["a:b"]},
        {"pull_through": ["*"]},
        {"pull_through": ["hub/"]},
    ],
)
def test_what_is_no_repository_is_refused(arguments: dict[str, list[str]]) -> None:
    with pytest.raises(ValueError, match=r"expected|without repositories"):
        permissions_policy([FRANKFURT], **arguments)  # type: ignore[arg-type]  # one of the two, by name
