"""What an identity has to be allowed for image pulls, and nothing more: the permissions policy of a role or user.

Beside the trust policy (`aws.trust_policy`), which says who may take the role. Called by `controller`. Actions and
resources: https://docs.aws.amazon.com/AmazonECR/latest/userguide/security_iam_id-based-policy-examples.html,
https://docs.aws.amazon.com/AmazonECR/latest/userguide/pull-through-cache-iam.html and
https://docs.aws.amazon.com/AmazonECR/latest/public/public-registry-auth.html.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from aws import registry_hosts
from aws.registry_hosts import RegistryHost
from aws.trust_policy import ACCOUNT_PLACEHOLDER

REGION_PLACEHOLDER = "${AWS_REGION}"
LOGIN_ACTIONS = ("ecr:GetAuthorizationToken",)
PULL_ACTIONS = ("ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")
PULL_THROUGH_ACTIONS = ("ecr:BatchImportUpstreamImage", "ecr:CreateRepository")
PUBLIC_LOGIN_ACTIONS = ("ecr-public:GetAuthorizationToken", "sts:GetServiceBearerToken")

_REPOSITORY = re.compile(r"[a-z0-9*?][a-z0-9*?._/-]{0,255}")  # with IAM's globs
_PREFIX = re.compile(r"[a-z0-9](?:[a-z0-9._/-]{0,28}[a-z0-9])?")  # of a pull-through cache rule


def permissions_policy(
    registries: Sequence[RegistryHost],
    *,
    repositories: Sequence[str] = ("*",),
    pull_through: Sequence[str] = (),
    partition: str = "aws",
) -> dict[str, Any]:
    """The whole policy document; equal registries give an equal document, whatever their order and form of name.

    Args:
        registries: Private ones, and ECR Public where it is asked for. Without any: the template for one private
            registry, with `${AWS_REGION}` and `${AWS_ACCOUNT_ID}`.
        repositories: Names in each private registry, IAM's globs included.
        pull_through: Prefixes of pull-through cache rules; the first pull of an image makes its repository.
        partition: Of the template, and of a registry whose region is `${AWS_REGION}`.

    Raises:
        ValueError: a repository or prefix is no name of one, or there is none.
    """
    _check(repositories, _REPOSITORY, "repository")
    _check(pull_through, _PREFIX, "pull-through prefix")
    if not repositories:
        raise ValueError("a policy without repositories allows no pull")
    accounts = {
        f"arn:{_partition(registry, partition)}:ecr:{registry.region}:{registry.account}"
        for registry in registries
        if not registry.is_public
    }
    if not registries:
        accounts = {f"arn:{partition}:ecr:{REGION_PLACEHOLDER}:{ACCOUNT_PLACEHOLDER}"}
    statements = []
    if accounts:
        statements.append(_statement("Login", LOGIN_ACTIONS, ["*"]))
        statements.append(_statement("Pull", PULL_ACTIONS, _resources(accounts, repositories)))
    if accounts and pull_through:
        cached = [f"{prefix}/*" for prefix in pull_through]
        statements.append(_statement("PullThrough", PULL_THROUGH_ACTIONS, _resources(accounts, cached)))
    if any(registry.is_public for registry in registries):
        statements.append(_statement("PublicLogin", PUBLIC_LOGIN_ACTIONS, ["*"]))
    return {"Version": "2012-10-17", "Statement": statements}


def _partition(registry: RegistryHost, of_template: str) -> str:
    placeholder = registry.region == REGION_PLACEHOLDER
    return of_template if placeholder else registry_hosts.partition_of(registry.region)


def _check(names: Sequence[str], pattern: re.Pattern[str], what: str) -> None:
    for name in names:
        if pattern.fullmatch(name) is None:
            raise ValueError(f"{what} {name!r}: expected small letters, digits and ._/-")


def _resources(accounts: set[str], repositories: Sequence[str]) -> list[str]:
    return sorted({f"{account}:repository/{name}" for account in accounts for name in repositories})


def _statement(sid: str, actions: Sequence[str], resources: list[str]) -> dict[str, Any]:
    resource = resources[0] if len(resources) == 1 else resources
    return {"Sid": sid, "Effect": "Allow", "Action": list(actions), "Resource": resource}
