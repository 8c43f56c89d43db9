"""What AWS must hold for a cluster, from what the hub says of it and of the others that share its role.

Used by the commands of `pullpass aws`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import click

from aws import registry_hosts
from aws.arns import RoleArn, parse_role
from aws.registry_hosts import RegistryHost
from aws.setup.wanted import Permissions, PermissionsKind, TrustedCluster, Wanted
from aws.trust_policy import TrustedWorkload, subject
from cli import following
from cli.hub import Hub
from schemas import trusted_accounts
from schemas.addons.aws_workload_identity import AwsWorkloadIdentity

Json = Mapping[str, Any]

ISSUER_SECONDS = 60.0


@dataclass(frozen=True)
class Choices:
    """What the options of a command say of permissions."""

    kind: str = PermissionsKind.LEAST
    repositories: tuple[str, ...] = ()
    pull_through: tuple[str, ...] = ()
    registries: tuple[str, ...] = ()
    public: bool = False


def cluster_with_issuer(hub: Hub, name: str, *, timeout_seconds: float = ISSUER_SECONDS) -> Json:
    """The cluster, as soon as the hub knows the OIDC provider URL that AWS has to be told.

    Raises:
        click.ClickException: awsECR is not enabled, or no usable issuer is known; the message says what to do.
    """
    cluster: dict[str, Any] = {}

    def known() -> bool:
        cluster.update(hub.request("GET", hub.cluster(name)))
        return issuer_of(cluster) is not None or not _discovering(cluster)

    following.until(known, timeout_seconds=timeout_seconds)
    if add_on(cluster) is None:
        raise click.ClickException(
            f"awsECR is not enabled on {name}\n  do: pullpass addons enable {name} awsECR"
        )
    if issuer_of(cluster) is None:
        issues = [
            f"  {issue['code']}: {issue['message']}\n  do: {issue['remedy']}"
            for issue in _identity(cluster).get("issues", ())
        ] or [f"  do: pullpass clusters get {name}, which says what it waits for"]
        raise click.ClickException(
            "\n".join([f"the hub knows no OIDC provider URL of {name} that AWS can use", *issues])
        )
    return cluster


def wanted_for(
    hub: Hub, cluster: Json, role: RoleArn, choices: Choices, *, region: str | None, to_print: bool = False
) -> Wanted:
    """Everything that the clusters of `role` need: `cluster`, and all of the organisation that share the role.

    `region` is the caller's, for the registry where nothing says which. What is only `to_print` may leave it to the
    reader, and so the account of a role that is yet to be made.

    Raises:
        click.UsageError: a repository, prefix or registry is none, or no registry is known.
    """
    sharers = [one for one in _sharing(hub, str(role)) if one["id"] != cluster["id"]]
    members = [cluster, *sharers]
    wanted = Wanted(
        role=role,
        organisation=hub.org,
        trusted=tuple(trusted for one in members if (trusted := _trusted(one, role)) is not None),
        permissions=Permissions(
            kind=PermissionsKind(choices.kind),
            registries=_registries(members, role, choices, region, to_print=to_print),
            repositories=choices.repositories or ("*",),
            pull_through=choices.pull_through,
            exact=bool(choices.repositories or choices.pull_through or choices.registries or choices.public),
        ),
    )
    if not wanted.trusted:
        raise click.ClickException(
            f"{cluster['name']} assumes no role by web identity: its nodes use the role of their instances\n"
            f"  do: pullpass aws attach-node-role {cluster['name']}"
        )
    try:
        _ = wanted.inline_policy
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    return wanted


def add_on(cluster: Json) -> Json | None:
    """`spec.addOns.awsECR`, None where it is not enabled."""
    found: Json | None = (cluster["spec"].get("addOns") or {}).get("awsECR")
    return found


def role_of(cluster: Json) -> RoleArn | None:
    """The role that the cluster's awsECR assumes."""
    arn = (add_on(cluster) or {}).get("roleArn")
    return parse_role(arn) if arn else None


def issuer_of(cluster: Json) -> str | None:
    """The OIDC provider's URL; None as long as no https one is known."""
    url = (_identity(cluster).get("oidcProviderConfig") or {}).get("providerUrl")
    return url if isinstance(url, str) and url.startswith("https://") else None


def _identity(cluster: Json) -> Json:
    found: Json = (cluster["status"].get("addOns") or {}).get("awsWorkloadIdentity") or {}
    return found


def _discovering(cluster: Json) -> bool:
    """Whether the hub may yet find the issuer out by itself."""
    waiting = not _identity(cluster).get("issues") and not cluster["status"].get("issues")
    return add_on(cluster) is not None and bool(cluster["status"].get("connected")) and waiting


def _sharing(hub: Hub, role_arn: str) -> Sequence[Json]:
    term = {"op": "=", "property": "spec.addOns.awsECR.roleArn", "value": role_arn}
    query = json.dumps({"kind": "mk8s", "spec": {"match": "all", "terms": [term]}}, separators=(",", ":"))
    found = hub.items(f"{hub.clusters}/-query?query={quote(query, safe='')}")
    return [one for one in found if "removal" not in one["status"] and issuer_of(one) is not None]


def _trusted(cluster: Json, role: RoleArn) -> TrustedCluster | None:
    """None where the cluster's nodes use the role of their instances."""
    issuer = issuer_of(cluster)
    spec = dict(cluster["spec"])
    spec["addOns"] = {**spec["addOns"], "awsECR": {**(add_on(cluster) or {}), "roleArn": str(role)}}
    settings = cluster.get("settings") or {}
    accounts = trusted_accounts.of_cluster({"spec": spec}, settings)
    if issuer is None or not accounts:
        return None
    audience = (settings.get("awsWorkloadIdentity") or {}).get("audience") or AwsWorkloadIdentity.audience
    subjects = tuple(subject(*account.split("/", 1)) for account in accounts)
    return TrustedCluster(cluster["id"], cluster["name"], TrustedWorkload(issuer, audience, subjects))


def _registries(
    members: Sequence[Json], role: RoleArn, choices: Choices, region: str | None, *, to_print: bool
) -> tuple[RegistryHost, ...]:
    hosts = list(choices.registries)
    if not hosts:
        for cluster in members:
            hosts += _own_registries(cluster)
    private = [host for host in hosts if host not in registry_hosts.PUBLIC_HOSTS]
    if not private and choices.kind == PermissionsKind.LEAST and not to_print:
        if region is None:
            raise click.UsageError(
                "no registry is known: name it with --registry, or set AWS_REGION for the one of the role's account"
            )
        hosts.append(registry_hosts.host_of(role.account, region))
    if choices.public:
        hosts.append(registry_hosts.PUBLIC_HOSTS[0])
    found = {host: registry_hosts.parse(host) for host in hosts}
    unknown = [host for host, registry in found.items() if registry is None]
    if unknown:
        raise click.UsageError(
            f"{unknown[0]!r} is no ECR registry: expected ACCOUNT.dkr.ecr.REGION.amazonaws.com"
        )
    return tuple(registry for _, registry in sorted(found.items()) if registry is not None)


def _own_registries(cluster: Json) -> list[str]:
    """Those that the cluster's settings name; else that of its own AWS account."""
    settings = (cluster.get("settings") or {}).get("awsECR") or {}
    hosts = list(settings.get("registries") or ())
    image = registry_hosts.of_any_image(settings.get("verifyImage") or "")
    if image is not None:
        hosts.append(image.host)
    provider = cluster["spec"]["provider"].get("aws")
    if not hosts and provider is not None:
        account = parse_role(provider["deployRoleArn"]).account
        hosts.append(registry_hosts.host_of(account, provider["region"]))
    return hosts
