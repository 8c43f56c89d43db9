"""The role by which the hub reads an account: what it may do there, and the commands that make it; pure.

Printed by `cli` for `pullpass aws read-role`; what `aws.iam_reader` and `aws.ecr_policies` ask needs no more.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from aws.setup.documents import compact

DEFAULT_NAME = "pullpass-read"
POLICY_NAME = "read"
ACTIONS = (
    "iam:GetAccountSummary",
    "iam:GetOpenIDConnectProvider",
    "iam:GetPolicy",
    "iam:GetPolicyVersion",
    "iam:GetRole",
    "iam:GetRolePolicy",
    "iam:ListAttachedRolePolicies",
    "iam:ListOpenIDConnectProviders",
    "iam:ListRolePolicies",
    "ecr:GetRegistryPolicy",
    "ecr:GetRepositoryPolicy",
)


def commands(name: str, trust_policy: Mapping[str, Any]) -> tuple[str, ...]:
    """For somebody with credentials of the account.

    Args:
        name: The role's, `PATH/NAME` with a path.
        trust_policy: Lets the hub in, and asks for the organisation's external id.
    """
    reading = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": list(ACTIONS), "Resource": "*"}],
    }
    path, _, own = name.rpartition("/")
    role, where = shlex.quote(own), f" --path {shlex.quote(f'/{path}/')}" if path else ""
    trust, policy = shlex.quote(compact(trust_policy)), shlex.quote(compact(reading))
    return (
        f"aws iam create-role --role-name {role}{where} --assume-role-policy-document {trust}",
        f"aws iam put-role-policy --role-name {role} --policy-name {POLICY_NAME} --policy-document {policy}",
    )
