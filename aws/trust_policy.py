"""The IAM trust policy of a role that clusters assume with their web identity tokens.

Always pins `:aud` and `:sub`: AWS does not force it for issuers it does not list, and a policy without `:sub` lets
every workload of the cluster take the role. Called by `addon_api` and `controller`; the shape is that of
https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_create_for-idp_oidc.html.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aws.arns import parse_role

ACCOUNT_PLACEHOLDER = "${AWS_ACCOUNT_ID}"
DEFAULT_QUOTA = 2048  # characters, whitespace not counted; up to 8,192 on request
MAXIMUM_QUOTA = 8192


@dataclass(frozen=True)
class TrustedWorkload:
    """Who may assume the role: `subjects` of one issuer, with tokens for `audience`."""

    issuer: str
    audience: str
    subjects: tuple[str, ...]


def trust_policy(role_arn: str | None, workloads: Sequence[TrustedWorkload]) -> dict[str, Any]:
    """The whole policy document; without `role_arn` the template with `${AWS_ACCOUNT_ID}` and partition aws.

    One statement for each issuer and audience, in their order: equal workloads give an equal document whatever
    order they come in.

    Raises:
        ValueError: `role_arn` is none, there are no workloads, a workload has no subject or audience, or an issuer
            is no https URL. Such a policy would be refused by IAM or trust too much.
    """
    role = None if role_arn is None else parse_role(role_arn)
    partition, account = ("aws", ACCOUNT_PLACEHOLDER) if role is None else (role.partition, role.account)
    subjects: dict[tuple[str, str], set[str]] = {}
    for workload in workloads:
        if not workload.subjects or not all(workload.subjects) or not workload.audience:
            raise ValueError(f"a workload of {workload.issuer} without subject or audience trusts too much")
        subjects.setdefault((_host_and_path(workload.issuer), workload.audience), set()).update(
            workload.subjects
        )
    if not subjects:
        raise ValueError("a trust policy needs at least one workload")
    return {
        "Version": "2012-10-17",
        "Statement": [
            _statement(
                f"arn:{partition}:iam::{account}:oidc-provider/{issuer}", issuer, audience, sorted(names)
            )
            for (issuer, audience), names in sorted(subjects.items())
        ],
    }


def counted_size(policy: dict[str, Any]) -> int:
    """Characters as the quota counts them: the document without white space between its tokens."""
    return len(json.dumps(policy, separators=(",", ":"), ensure_ascii=False))


def subject(namespace: str, service_account: str) -> str:
    """`system:serviceaccount:NAMESPACE:NAME`."""
    return f"system:serviceaccount:{namespace}:{service_account}"


def _statement(provider_arn: str, issuer: str, audience: str, subjects: list[str]) -> dict[str, Any]:
    return {
        "Effect": "Allow",
        "Principal": {"Federated": provider_arn},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {
            "StringEquals": {
                f"{issuer}:aud": audience,
                f"{issuer}:sub": subjects[0] if len(subjects) == 1 else subjects,
            }
        },
    }


def _host_and_path(issuer: str) -> str:
    """The issuer as IAM writes it in ARNs and condition keys: no scheme, all else kept, a last slash included."""
    host_and_path = issuer.removeprefix("https://")
    if host_and_path == issuer or not host_and_path:
        raise ValueError(f"issuer {issuer!r}: expected an https:// URL")
    return host_and_path
