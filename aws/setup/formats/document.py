"""The plan as one JSON document, for scripts and for whoever builds a format of their own."""

from __future__ import annotations

import json
from typing import Any

from aws.setup.formats import nodes
from aws.setup.wanted import (
    INLINE_POLICY_NAME,
    NODE_ROLE_NAME,
    REGISTRY_POLICY_SCOPE,
    ROLE_DESCRIPTION,
    Wanted,
)


def render(wanted: Wanted) -> str:
    """Indented JSON; the documents in it can be given to IAM as they stand, once placeholders are filled in."""
    role = wanted.role
    inline, managed = wanted.inline_policy, wanted.managed_policy_arn
    plan: dict[str, Any] = {
        "account": role.account,
        "partition": role.partition,
        "oidcProviders": [
            {
                "arn": provider.arn(role.partition, role.account),
                "url": provider.url,
                "audiences": list(provider.audiences),
                "tags": dict(wanted.tags),
            }
            for provider in wanted.providers
        ],
        "role": {
            "arn": str(role),
            "name": role.name,
            "path": role.path,
            "description": ROLE_DESCRIPTION,
            "maxSessionSeconds": wanted.max_session_seconds,
            "trustPolicy": wanted.trust_policy,
            "inlinePolicies": {} if inline is None else {INLINE_POLICY_NAME: inline},
            "managedPolicies": [] if managed is None else [managed],
            "tags": dict(wanted.role_tags),
        },
        "nodeRole": {
            "name": NODE_ROLE_NAME,
            "path": "/",
            "trustPolicy": nodes.trust_policy(role.partition),
            "managedPolicies": [nodes.policy_arn(role.partition)],
            "instanceProfile": NODE_ROLE_NAME,
            "tags": dict(wanted.tags),
        },
        "otherAccounts": [
            {
                "account": side.account,
                "region": side.region,
                "registryPolicyScope": REGISTRY_POLICY_SCOPE[1],
                "registryPolicy": side.registry_policy,
                "repositoryPolicy": side.repository_policy,
            }
            for side in wanted.other_sides
        ],
    }
    return json.dumps(plan, indent=2) + "\n"
