"""Whom owners of ECR registries let in from other accounts: registry policies and repository policies.

A registry's own covers pulls once its account has put the scope V2, and says nothing of them before.
https://docs.aws.amazon.com/AmazonECR/latest/userguide/registry-permissions.html
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sandbox.aws import policy
from sandbox.aws.protocol import AwsError

OPERATIONS = (
    "GetRegistryPolicy",
    "PutRegistryPolicy",
    "GetRepositoryPolicy",
    "SetRepositoryPolicy",
    "PutAccountSetting",
)
_SCOPE = ":scope"
_WORDS = {
    "RegistryPolicyNotFoundException": "Registry policy does not exist in the registry with id '{}'",
    "RepositoryPolicyNotFoundException": "Repository policy does not exist in the registry with id '{}'",
}


class EcrPolicies:
    """Texts by account, region and repository ("": the registry's; `_SCOPE`: its scope). Not thread-safe: `SandboxAws` holds the lock."""

    def __init__(self) -> None:
        self._texts: dict[tuple[str, str, str], str] = {}

    def call(self, operation: str, account: str, region: str, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        """The answer of one of `OPERATIONS`; raises `AwsError`."""
        if operation == "PutAccountSetting":
            return self._set(account, region, str(asked.get("name")), str(asked.get("value")))
        repository = str(asked.get("repositoryName", ""))
        key = (account, region, repository)
        kind = "Repository" if "Repository" in operation else "Registry"
        if not operation.startswith("Get"):
            self._texts[key] = _checked(str(asked.get("policyText", "")))
        elif key not in self._texts:
            code = f"{kind}PolicyNotFoundException"
            raise AwsError(code, _WORDS[code].format(account))
        named = {"repositoryName": repository} if repository else {}
        return {"registryId": account, "policyText": self._texts[key], **named}

    def allow(self, principal_arn: str, action: str, resource: str) -> bool:
        """Whether the owner of `resource` (a repository's ARN) lets a principal of another account do `action`."""
        _, partition, _, region, account, rest = resource.split(":", 5)
        repository = rest.removeprefix("repository/")
        visitor = principal_arn.split(":")[4]
        whose = {principal_arn, visitor, f"arn:{partition}:iam::{visitor}:root", "*"}
        found = set()
        by_registry = [""] if self._texts.get((account, region, _SCOPE)) == "V2" else []
        for name in (*by_registry, repository):
            document = json.loads(self._texts.get((account, region, name), "{}"))
            for statement in policy.statements(document):
                own = {**statement, "Resource": resource} if name else statement
                if whose & policy.principals(statement):
                    asked = {"Statement": [{**own, "Effect": "Allow"}]}
                    found |= {statement.get("Effect")} if policy.allows([asked], action, resource) else set()
        return "Allow" in found and "Deny" not in found

    def _set(self, account: str, region: str, name: str, value: str) -> Mapping[str, Any]:
        if name != "REGISTRY_POLICY_SCOPE" or value not in {"V1", "V2"}:
            raise AwsError(
                "InvalidParameterException",
                f"Invalid account setting: {name} cannot be {value} in this sandbox",
            )
        self._texts[(account, region, _SCOPE)] = value
        return {"name": name, "value": value}

    def snapshot(self) -> list[list[str]]:
        """JSON-able."""
        return [[*key, text] for key, text in self._texts.items()]

    def restore(self, document: list[list[str]]) -> None:
        """The inverse."""
        self._texts = {(account, region, name): text for account, region, name, text in document}


def _checked(text: str) -> str:
    try:
        wrong = not isinstance(json.loads(text)["Statement"], list | dict)
    except (ValueError, KeyError, TypeError):
        wrong = True
    if wrong:
        raise AwsError(
            "InvalidParameterException",
            "Invalid parameter at 'PolicyText' failed to satisfy constraint: 'Invalid repository policy provided'",
        )
    return text
