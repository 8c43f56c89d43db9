"""Which namespaces a claim selects, and which service accounts there refer to its secret. Pure.

Called by `agent.secrets.plan` and `agent.secrets.filling`; the add-on's own selection also by the webhooks.
"""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase

from agent.secrets.claims import Selection
from schemas.addons.aws_ecr import PullSecret
from schemas.agent_documents import NAMESPACE_NAME


def of_settings(pull_secret: PullSecret) -> Selection:
    """The add-on's own selection."""
    return Selection(
        namespaces=pull_secret.namespaces,
        namespace_selector=pull_secret.namespace_selector,
        exclude_namespaces=pull_secret.exclude_namespaces,
    )


def selects_namespace(selection: Selection, name: str, labels: Mapping[str, str]) -> bool:
    """Whether namespace `name` is selected.

    Names, labels and exclusions all narrow, and an exclusion always wins; our own namespace is never selected.
    """
    if selection.none or name == NAMESPACE_NAME:
        return False
    if selection.namespaces and not _matches(name, selection.namespaces):
        return False
    if _matches(name, selection.exclude_namespaces):
        return False
    return all(labels.get(key) == value for key, value in selection.namespace_selector.items())


def selects_account(service_accounts: str | tuple[str, ...], name: str) -> bool:
    """Whether service account `name` is among `all`, `default`, `none` or names."""
    if isinstance(service_accounts, tuple):
        return name in service_accounts
    return service_accounts == "all" or (service_accounts == "default" and name == "default")


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
