"""Who may pull from a registry of another account: its registry policy, and those of repositories.

Called by `aws.iam_reader`; boto3's client comes from there.
https://docs.aws.amazon.com/AmazonECR/latest/userguide/registry-permissions.html
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from aws.setup.documents import Document
from aws.setup.registry_sides import RegistryPolicies
from aws.user_session import failures

if TYPE_CHECKING:
    from types_boto3_ecr import ECRClient

_NONE = ("RegistryPolicyNotFoundException", "RepositoryPolicyNotFoundException")


def read(client: ECRClient, repositories: Iterable[str]) -> RegistryPolicies:
    """The policies of the registry of the client's account and region, and of `repositories` (names, no globs).

    Raises:
        SetupFailure: no answer, no such repository, or the caller may not read; `denied` then.
    """
    by_repository = {}
    registry = _document("ecr:GetRegistryPolicy", client.get_registry_policy)
    for name in repositories:
        by_repository[name] = _document(
            "ecr:GetRepositoryPolicy", client.get_repository_policy, repositoryName=name
        )
    return RegistryPolicies(registry, by_repository)


def _document(action: str, ask: Callable[..., Any], **arguments: str) -> Document:
    """Empty where there is no policy."""
    with failures(action):
        try:
            text = ask(**arguments)["policyText"]
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") in _NONE:
                return {}
            raise
        return dict(json.loads(text))
