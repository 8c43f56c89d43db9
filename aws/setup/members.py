"""From the clusters that share a role, as the hub knows them, to what AWS must hold for them; pure.

The one rule behind `pullpass aws` and the hub's own route: `addon_api.role_members` reads a cluster as the API shows it
into a `Member`, for both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aws import registry_hosts
from aws.arns import RoleArn, parse_role
from aws.permissions_policy import REGION_PLACEHOLDER
from aws.registry_hosts import RegistryHost
from aws.setup.wanted import Permissions, PermissionsKind, TrustedCluster, Wanted


@dataclass(frozen=True)
class Choices:
    """What somebody says of permissions; without `registries` they are those of the clusters."""

    kind: PermissionsKind = PermissionsKind.LEAST
    repositories: tuple[str, ...] = ()
    pull_through: tuple[str, ...] = ()
    registries: tuple[str, ...] = ()
    public: bool = False

    @property
    def made(self) -> bool:
        """Whether anything was said but the kind."""
        return bool(self.repositories or self.pull_through or self.registries or self.public)

    def __post_init__(self) -> None:
        if self.kind is not PermissionsKind.LEAST and (self.repositories or self.pull_through or self.public):
            raise ValueError("repositories, pull-through prefixes and ECR Public go with permissions least")


@dataclass(frozen=True)
class Member:
    """A cluster of the role.

    `named` are the hosts of registries that its settings name, or that of its own AWS account; `seen` those that its
    pods pull from, which count where none is named.
    """

    trusted: TrustedCluster
    named: tuple[str, ...] = ()
    seen: tuple[str, ...] = ()


def wanted_for(
    role: RoleArn,
    organisation: str,
    members: Sequence[Member],
    choices: Choices,
    *,
    region: str | None = None,
) -> Wanted:
    """Everything that the clusters of `role` need.

    Where no private registry is known it is that of the role's account in `region`, without one a placeholder.

    Raises:
        ValueError: a repository, prefix, registry or region is none; the message says which.
    """
    wanted = Wanted(
        role=role,
        organisation=organisation,
        trusted=tuple(member.trusted for member in members),
        permissions=Permissions(
            kind=choices.kind,
            registries=_registries(role, members, choices, region),
            repositories=choices.repositories or ("*",),
            pull_through=choices.pull_through,
            exact=choices.made,
        ),
    )
    _ = wanted.inline_policy  # says what is wrong with names
    return wanted


def named_registries(provider: Mapping[str, Any], settings: Mapping[str, Any]) -> tuple[str, ...]:
    """Hosts that `settings.awsECR` names; else that of the AWS account that `spec.provider` names."""
    hosts = list(settings.get("registries") or ())
    image = registry_hosts.of_any_image(settings.get("verifyImage") or "")
    if image is not None:
        hosts.append(image.host)
    own = provider.get("aws")
    if not hosts and own is not None:
        hosts.append(registry_hosts.host_of(parse_role(own["deployRoleArn"]).account, own["region"]))
    return tuple(hosts)


def _registries(
    role: RoleArn, members: Sequence[Member], choices: Choices, region: str | None
) -> tuple[RegistryHost, ...]:
    hosts = set(choices.registries)
    for member in () if hosts else members:
        hosts.update(member.named or member.seen)
    if choices.public:
        hosts.add(registry_hosts.PUBLIC_HOSTS[0])
    found = []
    for host in sorted(hosts):
        registry = registry_hosts.parse(host)
        if registry is None:
            raise ValueError(
                f"{host!r} is no ECR registry: expected ACCOUNT.dkr.ecr.REGION.amazonaws.com, or"
                f" {registry_hosts.PUBLIC_HOSTS[0]}"
            )
        found.append(registry)
    if all(registry.is_public for registry in found):
        found.append(_of_account(role, region))
    return tuple(found)


def _of_account(role: RoleArn, region: str | None) -> RegistryHost:
    """The registry of the role's account; account and region may be placeholders."""
    if region is None:
        region, suffix = REGION_PLACEHOLDER, registry_hosts.suffix_of_partition(role.partition)
    else:
        suffix = registry_hosts.suffix_of(registry_hosts.checked_region(region))
    return RegistryHost(f"{role.account}.dkr.ecr.{region}.{suffix}", role.account, region, suffix)
