"""What AWS must hold so that the clusters of one role can pull: providers, role, trust, permissions; pure.

One role at a time, because a trust policy is one document: it holds a statement for each cluster of the organisation
that uses the role, under a `Sid` of its own, so that ours can be told from everybody else's. Made by `cli` and
`addon_api` from what the hub knows and by `controller` for its checks; read by `plan`, `teardown` and the formats.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from aws.arns import RoleArn
from aws.permissions_policy import PULL_ACTIONS, permissions_policy
from aws.registry_hosts import RegistryHost, partition_of
from aws.trust_policy import ACCOUNT_PLACEHOLDER, TrustedWorkload, trust_policy

Document = dict[str, Any]

INLINE_POLICY_NAME = "pullpass-pull"
PULL_ONLY = "AmazonEC2ContainerRegistryPullOnly"
NODE_READ_ONLY = "AmazonEC2ContainerRegistryReadOnly"
NODE_ROLE_NAME = "pullpass-node"  # of the role that formats print for nodes on EC2
MANAGED_BY = ("managed-by", "pullpass")  # the tag that says: ours to remove
# On a role, names the managed policy that we attached: attachments themselves carry no tags.
ATTACHED_TAG = "pullpass.dev/attached"
# The account setting without which a registry policy says nothing of pulls.
REGISTRY_POLICY_SCOPE = ("REGISTRY_POLICY_SCOPE", "V2")
ROLE_DESCRIPTION = "Made by Pullpass: lets clusters pull images from Amazon ECR"
SHORTEST_SESSION = 3600  # seconds; IAM takes no shorter maximum, and Pullpass needs no longer one

_SID = "Pullpass"


class PermissionsKind(StrEnum):
    """How the role is allowed to pull: our own least-privilege policy, or AWS's managed one."""

    LEAST = "least"
    PULL_ONLY = "pull-only"


@dataclass(frozen=True)
class TrustedCluster:
    """One cluster of the role: `uid` (never reused) names its statement, `name` is for people."""

    uid: str
    name: str
    workload: TrustedWorkload

    @property
    def sid(self) -> str:
        """The `Sid` of its statement: the same whatever becomes of issuer, audience and subjects."""
        return sid_of(self.uid)


@dataclass(frozen=True)
class Provider:
    """An IAM OIDC provider: the issuer's `url` with its https://, and every audience that must be allowed."""

    url: str
    audiences: tuple[str, ...]

    def arn(self, partition: str, account: str) -> str:
        """Its ARN in an account: the URL without scheme, all else kept."""
        return f"arn:{partition}:iam::{account}:oidc-provider/{self.url.removeprefix('https://')}"


@dataclass(frozen=True)
class Permissions:
    """What the role may pull.

    `registries` are those of the clusters, private ones and ECR Public; `repositories` names with IAM's globs;
    `pull_through` prefixes of pull-through cache rules. All but `kind` matter for `LEAST` only. `exact`: a person said
    so now; else a policy that is there and allows fewer repositories, or more besides, is left as somebody made it.
    """

    kind: PermissionsKind = PermissionsKind.LEAST
    registries: tuple[RegistryHost, ...] = ()
    repositories: tuple[str, ...] = ("*",)
    pull_through: tuple[str, ...] = ()
    exact: bool = False


@dataclass(frozen=True)
class OtherSide:
    """What the owner of a registry in another account has to allow: one of the two documents is enough.

    `registry_policy` is for the whole registry (one per account and region, scope V2), `repository_policy` for each
    repository by itself. https://docs.aws.amazon.com/AmazonECR/latest/userguide/registry-permissions.html
    """

    account: str
    region: str
    repositories: tuple[str, ...]
    registry_policy: Document
    repository_policy: Document


@dataclass(frozen=True)
class Wanted:
    """Everything AWS must hold for the clusters `trusted`, which share `role`.

    `role.account` may be a placeholder (`${AWS_ACCOUNT_ID}`) for formats that are printed before there is a role.
    `tags` go on everything that is created.
    """

    role: RoleArn
    organisation: str
    trusted: tuple[TrustedCluster, ...]
    permissions: Permissions = field(default_factory=Permissions)
    max_session_seconds: int = SHORTEST_SESSION

    @property
    def providers(self) -> tuple[Provider, ...]:
        """One for each issuer, by URL; its audiences sorted."""
        audiences: dict[str, set[str]] = {}
        for cluster in self.trusted:
            audiences.setdefault(cluster.workload.issuer, set()).add(cluster.workload.audience)
        return tuple(Provider(url, tuple(sorted(found))) for url, found in sorted(audiences.items()))

    @property
    def statements(self) -> tuple[Document, ...]:
        """The trust policy's statements, one for each cluster, by name and uid.

        Raises:
            ValueError: as `aws.trust_policy.trust_policy`.
        """
        return tuple(
            statement_of(self.role, cluster)
            for cluster in sorted(self.trusted, key=lambda cluster: (cluster.name, cluster.uid))
        )

    @property
    def trust_policy(self) -> Document:
        """The document of a role that nobody else uses."""
        return {"Version": "2012-10-17", "Statement": list(self.statements)}

    @property
    def inline_policy(self) -> Document | None:
        """The least-privilege document, put on the role as `INLINE_POLICY_NAME`; None where the managed one is wanted.

        Raises:
            ValueError: as `aws.permissions_policy.permissions_policy`.
        """
        if self.permissions.kind is not PermissionsKind.LEAST:
            return None
        return permissions_policy(
            self.permissions.registries,
            repositories=self.permissions.repositories,
            pull_through=self.permissions.pull_through,
            partition=self.role.partition,
        )

    @property
    def managed_policy_arn(self) -> str | None:
        """The managed policy to attach; None where the least-privilege one is wanted."""
        if self.permissions.kind is not PermissionsKind.PULL_ONLY:
            return None
        return managed_policy_arn(self.role.partition, PULL_ONLY)

    @property
    def tags(self) -> Mapping[str, str]:
        """On everything that is created."""
        return dict([MANAGED_BY]) | {"pullpass.dev/organisation": self.organisation}

    @property
    def role_tags(self) -> Mapping[str, str]:
        """On the role, when it is created."""
        return dict(self.tags) | ({} if self.managed_policy_arn is None else {ATTACHED_TAG: PULL_ONLY})

    @property
    def other_sides(self) -> tuple[OtherSide, ...]:
        """One for each private registry in an account that is not the role's, by account and region.

        None as long as the role's account is a placeholder: whose registry it is cannot be told then.
        """
        if self.role.account == ACCOUNT_PLACEHOLDER:
            return ()
        elsewhere = {
            (registry.account, registry.region)
            for registry in self.permissions.registries
            if not registry.is_public and registry.account != self.role.account
        }
        return tuple(
            _other_side(self.role, account, region, self.permissions.repositories)
            for account, region in sorted(elsewhere)
        )


def sid_of(uid: str) -> str:
    """The `Sid` of a cluster's statement: letters and digits, 16 characters, because they count for the quota."""
    return _SID + hashlib.sha256(uid.encode()).hexdigest()[:8]


def is_sid(sid: object) -> bool:
    """Whether a `Sid` has the form of ours: of a cluster of this organisation, of another's, or one long gone."""
    digits = sid.removeprefix(_SID) if isinstance(sid, str) and sid.startswith(_SID) else ""
    return len(digits) == 8 and all(digit in "0123456789abcdef" for digit in digits)  # noqa: PLR2004 - as sid_of


def statement_of(role: RoleArn, cluster: TrustedCluster) -> Document:
    """The trust policy's statement for one cluster.

    Raises:
        ValueError: as `aws.trust_policy.trust_policy`.
    """
    statement: Document = trust_policy(None, [cluster.workload])["Statement"][0]
    provider = Provider(cluster.workload.issuer, ()).arn(role.partition, role.account)
    return {"Sid": cluster.sid} | statement | {"Principal": {"Federated": provider}}


def managed_policy_arn(partition: str, name: str) -> str:
    """The ARN of one of AWS's own policies."""
    return f"arn:{partition}:iam::aws:policy/{name}"


def _other_side(role: RoleArn, account: str, region: str, repositories: Sequence[str]) -> OtherSide:
    partition = partition_of(region)
    statement = {
        "Sid": f"PullpassPull{hashlib.sha256(str(role).encode()).hexdigest()[:8]}",
        "Effect": "Allow",
        "Principal": {"AWS": str(role)},
        "Action": list(PULL_ACTIONS),
    }
    resources = [f"arn:{partition}:ecr:{region}:{account}:repository/{name}" for name in sorted(repositories)]
    resource = resources[0] if len(resources) == 1 else resources
    return OtherSide(
        account=account,
        region=region,
        repositories=tuple(repositories),
        registry_policy={"Version": "2012-10-17", "Statement": [statement | {"Resource": resource}]},
        repository_policy={"Version": "2012-10-17", "Statement": [statement]},
    )
