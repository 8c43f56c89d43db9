"""Whether the owner of a registry in another account lets a role pull, judged by effect. Pure.

Called by `controller.iam_checks` with what `aws.ecr_policies` read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aws.arns import RoleArn
from aws.permissions_policy import PULL_ACTIONS
from aws.registry_hosts import partition_of
from aws.setup import permissions
from aws.setup.check import Difference, Found, Part
from aws.setup.documents import Document, compact, listed, statements
from aws.setup.wanted import OtherSide


@dataclass(frozen=True)
class RegistryPolicies:
    """The registry's own policy and those of repositories by name; empty where there is none."""

    registry: Document
    repositories: Mapping[str, Document]


def known_repositories(side: OtherSide) -> tuple[str, ...]:
    """Those of `side` whose policies can be asked for: names without globs."""
    return tuple(name for name in side.repositories if "*" not in name and "?" not in name)


def compare(role: RoleArn, side: OtherSide, held: RegistryPolicies) -> Found:
    """What keeps `role` from pulling there; a repository that nobody can name is told as not judged."""
    differences, unjudged = [], []
    base = f"arn:{partition_of(side.region)}:ecr:{side.region}:{side.account}:repository"
    by_registry = _of_role(held.registry, role)
    for name in side.repositories:
        resource = f"{base}/{name}"
        own = held.repositories.get(name)
        documents = [by_registry, *([] if own is None else [_of_role(own, role, resource)])]
        wanted = {"Statement": {"Action": list(PULL_ACTIONS), "Resource": resource}}
        if not permissions.lacks(wanted, documents):
            continue
        if own is None:
            unjudged.append(
                f"the registry policy of account {side.account} in {side.region} does not let the role pull all of"
                f" {name}; policies of repositories may"
            )
        else:
            differences.append(_difference(side, name, resource, own))
    return Found(tuple(differences), tuple(unjudged))


def _difference(side: OtherSide, name: str, resource: str, own: Document) -> Difference:
    merged = {"Version": "2012-10-17"} | dict(own)
    merged["Statement"] = [*statements(own), *statements(side.repository_policy)]
    return Difference(
        Part.REGISTRY,
        f"no policy of account {side.account} lets the role pull {name} in {side.region}",
        resource,
        {
            "REGION": side.region,
            "REGISTRY_ACCOUNT": side.account,
            "REPOSITORY": name,
            "POLICY": compact(merged),
        },
    )


def _of_role(document: Document, role: RoleArn, resource: str | None = None) -> Document:
    """The statements that are about `role`; a repository's have no resource of their own."""
    whose = {"*", str(role), role.account, f"arn:{role.partition}:iam::{role.account}:root"}
    found: list[Mapping[str, Any]] = []
    for one in statements(document):
        principal = one.get("Principal") if isinstance(one, Mapping) else None
        named = listed(principal.get("AWS")) if isinstance(principal, Mapping) else listed(principal)
        if whose & {str(name) for name in named}:
            found.append(one if resource is None else {**one, "Resource": resource})
    return {"Statement": found}
