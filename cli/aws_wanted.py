"""What AWS must hold for a cluster, from what the hub says of it and of the others that share its role.

Used by the commands of `pullpass aws`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import click

from addon_api import role_members
from addon_api.role_members import add_on_of, identity_of, issuer_of, role_of
from aws.arns import RoleArn
from aws.permissions_policy import REGION_PLACEHOLDER
from aws.setup import members
from aws.setup.members import Choices
from aws.setup.wanted import PermissionsKind, Wanted
from cli import following
from cli.hub import Hub

__all__ = ["Choices", "cluster_with_issuer", "issuer_of", "role_of", "wanted_for"]

Json = Mapping[str, Any]

ISSUER_SECONDS = 60.0
# What stands in the status may be older than what the person did just now (`pullpass connect`).
STALE_SECONDS = 8.0


def cluster_with_issuer(
    hub: Hub, name: str, *, timeout_seconds: float = ISSUER_SECONDS, stale_seconds: float = STALE_SECONDS
) -> Json:
    """The cluster, as soon as the hub knows the OIDC provider URL that AWS has to be told.

    Raises:
        click.ClickException: awsECR is not enabled, or no usable issuer is known; the message says what to do.
    """
    cluster: dict[str, Any] = {}

    def known() -> bool:
        cluster.update(hub.request("GET", hub.cluster(name)))
        return issuer_of(cluster) is not None or not _discovering(cluster)

    def settled() -> bool:
        return known() and (issuer_of(cluster) is not None or not _may_be_stale(cluster))

    if not known() and sys.stderr.isatty():
        click.echo(f"Waiting until the hub knows the issuer of {name} …", err=True)
    following.until(settled, timeout_seconds=stale_seconds)
    following.until(known, timeout_seconds=timeout_seconds)
    if add_on_of(cluster) is None:
        raise click.ClickException(
            f"awsECR is not enabled on {name}\n  do: pullpass addons enable {name} awsECR"
        )
    if issuer_of(cluster) is None:
        issues = [
            f"  {issue['code']}: {issue['message']}\n  do: {issue['remedy']}" for issue in _issues(cluster)
        ]
        raise click.ClickException(
            "\n".join(
                [
                    f"the hub knows no OIDC provider URL of {name} that AWS can use",
                    *(issues or [f"  do: pullpass clusters get {name}, which says what it waits for"]),
                ]
            )
        )
    return cluster


def wanted_for(hub: Hub, cluster: Json, role: RoleArn, choices: Choices, *, region: str | None) -> Wanted:
    """Everything that the clusters of `role` need: `cluster`, and all of the organisation that share the role.

    `region` is the caller's, for the registry where nothing says which.

    Raises:
        click.UsageError: a repository, prefix or registry is none, or no registry is known.
    """
    query = json.dumps(role_members.sharing_query(role), separators=(",", ":"))
    sharing = hub.items(f"{hub.clusters}/-query?query={quote(query, safe='')}")
    found = role_members.members_of(role, cluster, sharing)
    if not found:
        raise click.ClickException(
            f"{cluster['name']} assumes no role by web identity: its nodes use the role of their instances\n"
            f"  do: pullpass aws attach-node-role {cluster['name']}"
        )
    try:
        wanted = members.wanted_for(role, hub.org, found, choices, region=region)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    unknown = any(registry.region == REGION_PLACEHOLDER for registry in wanted.permissions.registries)
    if unknown and choices.kind is PermissionsKind.LEAST:
        raise click.UsageError(
            "no registry is known: name it with --registry, or set AWS_REGION for the one of the role's account"
        )
    return wanted


def _discovering(cluster: Json) -> bool:
    """Whether the hub may yet find the issuer out by itself."""
    connected = bool(cluster["status"].get("connected"))
    return add_on_of(cluster) is not None and connected and not _issues(cluster)


def _may_be_stale(cluster: Json) -> bool:
    """Whether what the status says may be of before the last change."""
    status = cluster["status"]
    behind = bool(status.get("issues")) or status.get("observedGeneration") != status.get("generation")
    return add_on_of(cluster) is not None and bool(status.get("connected")) and behind


def _issues(cluster: Json) -> list[Json]:
    """What keeps the issuer unknown, each once."""
    found: list[Json] = [*cluster["status"].get("issues", ())]
    found += [issue for issue in identity_of(cluster).get("issues", ()) if issue not in found]
    return found
