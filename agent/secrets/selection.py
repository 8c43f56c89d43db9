"""Which namespaces get the pull secret, and which service accounts there refer to it. Pure.

Called by `agent.secrets.loop` for every namespace it reconciles.
"""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase

from schemas.addons.aws_ecr import PullSecret
from schemas.agent_documents import NAMESPACE_NAME


def selects_namespace(pull_secret: PullSecret, name: str, labels: Mapping[str, str]) -> bool:
    """Whether namespace `name` gets the secret.

    Names, labels and exclusions all narrow, and an exclusion always wins; our own namespace is never selected.
    """
    if name == NAMESPACE_NAME:
        return False
    if pull_secret.namespaces and name not in pull_secret.namespaces:
        return False
    if any(fnmatchcase(name, pattern) for pattern in pull_secret.exclude_namespaces):
        return False
    return all(labels.get(key) == value for key, value in pull_secret.namespace_selector.items())


def selects_account(pull_secret: PullSecret, name: str) -> bool:
    """Whether service account `name` of a selected namespace refers to the secret."""
    wanted = pull_secret.service_accounts
    if isinstance(wanted, tuple):
        return name in wanted
    return wanted == "all" or (wanted == "default" and name == "default")
